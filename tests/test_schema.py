"""The schema that editors read is that of the code."""

import json
from pathlib import Path

from landscape.experiment.schema import json_schema

SCHEMA = Path(__file__).parents[1] / "config/schema.json"


def test_the_schema_for_editors_is_up_to_date() -> None:
    """To renew it: python -m landscape schema > config/schema.json"""
    assert json.loads(SCHEMA.read_text()) == json_schema()


def test_it_knows_sweeps_and_every_section() -> None:
    schema = json_schema()
    assert set(schema["properties"]) >= {"results", "data", "runs", "planes", "figures", "summary"}
    assert "sweep" in schema["$defs"]["Run"]["properties"] and "sweep" in schema["$defs"]["LossPlane"]["properties"]
