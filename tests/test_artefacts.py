"""The Snakefile's rules are literal; here they are held against the table of results and the questions beside it."""

import re
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from landscape import artefacts
from landscape.artefacts import ARTEFACTS, STAGES, TABLE, Job
from landscape.errors import InputError
from landscape.experiment import jobs, needs, reading, rules

from running import REPOSITORY, SMOKE


def literal_rules() -> dict[str, dict[str, str]]:
    """Each rule of the Snakefile: the text of its sections by name; `aimed` is `directions` again."""
    found: dict[str, dict[str, str]] = {}
    for path in (REPOSITORY / "workflow/rules").glob("*.smk"):
        for rule, body in re.findall(r"^rule (\w+):\n((?:    .*\n|\n)+)", path.read_text(), flags=re.M):
            sections = re.findall(r"^    (\w+):(.*(?:\n        .*|\n(?=\n        ))*)", body, flags=re.M)
            found[rule] = {name: text.strip() for name, text in sections}
    return {**found, "aimed": found["directions"]}


RULES = literal_rules()


def named(text: str) -> dict[str, str]:
    """The entries of a section, by name; a single one without a name under ''."""
    entries = re.split(r",\n        (?=\w+=|ask|f\")", text.rstrip(","))
    pairs = [re.fullmatch(r"(?:(\w+)=)?(.*)", entry.strip().rstrip(","), flags=re.S) for entry in entries if entry]
    return {pair[1] or "": pair[2].strip() for pair in pairs if pair}


def path_in(text: str) -> str:
    """The path of a result that an f-string names, as the table has it."""
    match = re.search(r'f"\{RESULTS\}/([^"]*)"', text)
    assert match, text
    return match[1].replace("{{", "{").replace("}}", "}")


def test_every_rule_stands_in_the_table_and_every_entry_is_a_rule() -> None:
    assert RULES.keys() == ARTEFACTS.keys() == rules.RULES.keys()


@pytest.mark.parametrize("artefact", TABLE, ids=lambda artefact: str(artefact.rule))
def test_a_rule_writes_what_the_table_says(artefact: artefacts.Artefact) -> None:
    rule = RULES[artefact.rule]
    assert [path_in(text) for text in named(rule["output"]).values()] == list(artefact.files.values())
    assert path_in(rule["log"]) == artefact.log
    assert ("benchmark" in rule) == artefact.benchmarked
    if artefact.benchmark:
        assert path_in(rule["benchmark"]) == artefact.benchmark
    assert ("localrule" in rule) == artefact.local


@pytest.mark.parametrize("name", rules.RULES)
def test_a_rule_asks_what_the_table_says(name: str) -> None:
    rule, asked = RULES[name], rules.RULES[name]
    for key, question in asked.inputs.items():
        own = question.ask in (jobs.code_files, jobs.adopted_files, jobs.source_files)
        text = named(rule["input"])[key]
        assert same(text.removeprefix("ancient(")[: -1 if own else None], question), key
        if own:
            asked_too = [text.replace("content(", "ask(") for text in named(rule["params"]).values()]
            assert text.startswith("ancient(") and any(same(one, question) for one in asked_too), "known by content"
    assert set(named(rule.get("input", ""))) - {""} == set(asked.inputs) - {""}
    if asked.spec:
        assert same(named(rule["params"])["spec"], asked.spec)
    assert bool(asked.memory) == ("resources" in rule)
    if asked.memory:
        assert same(named(rule["resources"])["mem_mb"].replace("grown(", "ask("), asked.memory)


def same(text: str, question: rules.Question) -> bool:
    """Whether the Snakefile's text asks a question: by its name, or as the path that it answers with."""
    ask, module = question.ask, question.ask.__module__.rpartition(".")[2]
    if text.startswith("f"):
        kind = {"directions_file": "directions"}[ask.__name__]
        template = next(artefact.files[kind] for artefact in TABLE if kind in artefact.files)
        own = dict(zip(("state", "plane"), question.wildcards, strict=True))
        return path_in(text) == template.format(**{key: f"{{{value}}}" for key, value in own.items()})
    if not question.wildcards:
        return text == f"{module}.{ask.__name__}(EXPERIMENT)"
    words = ", ".join(f'"{wildcard}"' for wildcard in question.wildcards)
    return text == f"ask({module}.{ask.__name__}, {words})"


def test_every_path_leads_back_to_its_rule() -> None:
    values = {
        "data": "d",
        "run": "r-1",
        "state": "r-1@003",
        "plane": "p.x",
        "probe": "q",
        "marked": "s@010",
        "left": "2",
    }
    values |= {"i": "3", "n": "12", "figure": "f", "table": "t"}
    for artefact in TABLE:
        for kind, path in artefacts.outputs("out", artefact.rule, **values).items():
            found = [(a.rule, k, w) for a, k, w in artefacts.matching(path.removeprefix("out/"))]
            own = {name: values[name] for name in artefact.wildcards}
            assert (artefact.rule, kind, own) in found
            same_place = {a.rule for a in TABLE if a.files.get(kind) == artefact.files[kind]}
            assert {rule for rule, _, _ in found} == same_place, path


def test_what_a_job_reads_is_made_by_one_job_or_lies_outside() -> None:
    whole = reading.read(SMOKE)
    for name in whole.figures:
        for path in rules.reads(whole, Job("figure", (name,))):
            job = rules.maker(whole, path)
            assert job is not None and path in artefacts.outputs(whole.results, job.rule, **job.wildcards).values()
    assert rules.maker(whole, "elsewhere/weights.pt") is None


def test_the_summary_reads_the_trajectories_that_figures_make() -> None:
    whole = reading.read(SMOKE)
    assert set(needs.trajectories_of_summary(whole)) <= set(rules.reads(whole, Job("summary")))
    assert needs.trajectories_of_summary(whole) == ["results/smoke/trajectories/small/path.nc"]


@pytest.mark.parametrize(
    ("file", "header", "kind"),
    [
        ("a.safetensors", {"history": "2026 landscape train"}, "weights"),
        ("a.safetensors@003", {"history": "2026 landscape adopt", "epochs": [0, 3]}, "epochs"),
        ("a.nc", {"history": "2026 landscape rescale"}, "history"),
        ("a.nc", {"history": "2026 landscape tile", "tile": "1 of 2"}, "tile"),
        ("a.nc", {"history": "2026 landscape tile"}, "surface"),
        ("a.nc", {"history": "2026 landscape probe"}, "probe"),
        ("a.safetensors", {"history": "2026 landscape probe"}, "vectors"),
        ("a.safetensors", {"history": "2026 landscape dataset"}, "data set"),
    ],
)
def test_a_file_says_what_it_is(file: str, header: dict[str, Any], kind: str) -> None:
    assert artefacts.kind_of(file, header) == kind


@pytest.mark.parametrize("history", ["", "2026 somebody train", "2026 landscape figure", "2026 landscape fly"])
def test_a_file_that_is_not_ours_is_refused(history: str) -> None:
    with pytest.raises(InputError, match="does not say that landscape made it"):
        artefacts.kind_of(Path("a.nc"), {"history": history})


def test_stages_have_sections_and_every_stage_is_used() -> None:
    assert {artefact.stage for artefact in TABLE} - {None} == set(STAGES)


def test_tiles_are_asked_for_by_their_number() -> None:
    whole = reading.read(SMOKE)
    tile = ARTEFACTS["tile"]
    n = jobs.tiles(whole, "small", "contour")
    for i, of in product((1, n, n + 1), (n, n + 1)):
        wildcards = {"state": "small", "plane": "contour", "i": str(i), "n": str(of)}
        assert rules.is_wanted(whole, tile, wildcards) == (i <= n == of)
