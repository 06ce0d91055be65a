"""The report: one page that works offline and holds every figure with its caption, the table and the configuration."""

import base64
import html
import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from landscape.experiment import reading

from running import SMOKE, copied, snakemake

RESULTS = "results/smoke"


@pytest.fixture(scope="module")
def made(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the finished folder with its report as report.html."""
    folder = copied(finished, tmp_path_factory.mktemp("report") / "folder")
    snakemake(folder / "config.yaml", "--report", "report.html", folder=folder)
    return folder


def embedded(folder: Path, name: str) -> Any:
    """The object that the page's script calls `name`."""
    page = (folder / "report.html").read_text()
    (start,) = (found.end() for found in re.finditer(rf"^ *var {name} = (?=\{{\")", page, flags=re.M))
    return json.JSONDecoder().raw_decode(page, start)[0]


def content(result: dict[str, Any]) -> bytes:
    """What a data URI of the page holds."""
    scheme, _, coded = result["data_uri"].partition("base64,")
    assert scheme.startswith(f"data:{result['mime_type']};")
    return base64.b64decode(coded, validate=True)


def words(text: str) -> list[str]:
    """The words of a text in reStructuredText or HTML, without its marks."""
    return re.sub(r"<[^>]*>|^- |`|\*", " ", html.unescape(text).replace("\\", ""), flags=re.M).split()


class Loaded(HTMLParser):
    """What a page fetches when it is opened: addresses in tags, and those in style sheets."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag
        wanted = ("src", "srcset", "data", "poster") + (() if tag == "a" else ("href",))
        self.addresses += [value for name, value in attrs if name in wanted and value]

    def handle_data(self, data: str) -> None:
        if self.inside == "style":
            found = re.findall(r"@import\s+[\"']([^\"']+)|url\(\s*[\"']?([^\"')]+)", data)
            self.addresses += [one or other for one, other in found]


def test_it_is_one_page_under_25_megabytes_that_loads_nothing(made: Path) -> None:
    page = made / "report.html"
    assert 100_000 < page.stat().st_size < 25_000_000
    loaded = Loaded()
    loaded.feed(page.read_text())
    assert [address for address in loaded.addresses if not address.startswith(("data:", "#"))] == []
    for name in ("runtimes_spec", "timeline_spec", "rulegraph_spec"):
        assert '"url"' not in json.dumps(embedded(made, name)), f"{name} would fetch its data"
    results = embedded(made, "results").values()
    assert all(result["data_uri"].startswith("data:") for result in results)


def test_every_figure_is_there_as_a_png_with_its_caption_in_its_group(made: Path) -> None:
    results, groups = embedded(made, "results"), embedded(made, "categories")
    figures = reading.read(SMOKE).figures
    expected: dict[str, set[str]] = {}
    for name, figure in figures.items():
        path = f"{RESULTS}/figures/{name}.png"
        assert content(results[path]) == (made / path).read_bytes()
        assert content(results[path]).startswith(b"\x89PNG")
        caption = (made / path).with_suffix(".rst").read_text()
        assert words(results[path]["caption"]) == words(caption)
        assert len(words(caption)) > 30
        expected.setdefault(figure.draw.capitalize(), set()).add(path)
    assert {group: set(paths) for group, paths in groups["Figures"].items()} == expected
    assert groups.keys() == {"Figures", "Tables", "Summary", "Claims", "Configuration"}
    assert {path for path in results if path.endswith(".png")} == set().union(*expected.values())


def test_the_table_and_the_resolved_configuration_are_there(made: Path) -> None:
    results = embedded(made, "results")
    table = content(results[f"{RESULTS}/summary.html"]).decode()
    assert table == (made / RESULTS / "summary.html").read_text()
    parts = {part.partition("</h2>")[0]: part for part in table.split("<h2>")[1:]}
    firsts = {title: re.findall(r"<tr>\s*<td>(.*?)</td>", part) for title, part in parts.items()}
    assert firsts["Runs"] == ["small", "noshort", "other"]
    assert (firsts["Between runs"], firsts["Paths"]) == (["small", "small"], ["small"])
    for name, path in (("errors", "tables/errors.html"), ("claims", "claims.html")):
        assert content(results[f"{RESULTS}/{path}"]).decode() == (made / RESULTS / path).read_text(), name
    shown = content(results[f"{RESULTS}/config.html"]).decode()
    assert html.escape((made / RESULTS / "config.yaml").read_text()).strip() in shown
    assert "momentum: 0.9" in shown, "a default that the configuration does not state"
    assert "Wilson" in results[f"{RESULTS}/summary.html"]["caption"]
    assert "every default stated" in results[f"{RESULTS}/config.html"]["caption"]


def test_the_run_time_of_every_job_is_there(made: Path) -> None:
    times = embedded(made, "runtimes_spec")["data"]["values"]
    assert all(entry["runtime"] > 0 for entry in times)
    counted = Counter(entry["rule"] for entry in times)
    tiles = list((made / RESULTS / "surfaces").rglob("*of*.nc"))
    surfaces = set((made / RESULTS / "surfaces").rglob("*.nc")) - set(tiles)
    assert counted["tile"] == len(tiles) > len(surfaces)
    assert counted["merge"] == counted["directions"] + counted["aimed"] == len(surfaces)
    assert (counted["dataset"], counted["train"], counted["figure"], counted["summary"]) == (1, 3, 14, 1)
    assert (counted["trajectory"], counted["mark"], counted["table"], counted["claims"]) == (1, 1, 1, 1)
