"""A configuration in which a key stands twice, or a word that YAML reads as another value, is refused with what to write."""

import datetime
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from landscape import cli
from landscape.errors import InputError
from landscape.experiment import document, reading

from running import snakemake

RIGHT = """
data:
  d: {source: digits}
runs:
  a: {network: resnet20, data: d, epochs: 2}
planes:
  p: {alpha: [-1, 1, 3], beta: [-1, 1, 3]}
figures:
  f: {draw: contours, runs: [a], plane: p}
"""


def problems(text: str, folder: Path) -> list[str]:
    path = folder / "c.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        reading.read(path)
    return refused.value.problems


def read(text: str, folder: Path) -> Any:
    path = folder / "c.yaml"
    path.write_text(text)
    return reading.read(path)


TWICE = {
    "a section": ("runs:\n  b: {network: resnet32, data: d}\n", "runs stands twice (FILE, lines 4 and 10)"),
    "a section, quoted": ("'runs':\n  b: {network: resnet32, data: d}\n", "runs stands twice (FILE, lines 4 and 10)"),
    "a single key": ("results: x\nresults: x\n", "results stands twice (FILE, lines 10 and 11)"),
    "names": (
        "probes:\n  q: {measure: trace}\n  q: {measure: trace}\n",
        "probes.q stands twice (FILE, lines 11 and 12)",
    ),
    "quoted and not": (
        'tables:\n  "t": {runs: [a]}\n  t: {runs: [a]}\n',
        "tables.t stands twice (FILE, lines 11 and 12)",
    ),
    "a number and its text": ('tables:\n  1: {runs: [a]}\n  "1": {runs: [a]}\n', "tables.1 stands twice"),
    "one number in two forms": ("tables:\n  1: {runs: [a]}\n  1.0: {runs: [a]}\n", "tables.1.0 stands twice"),
    "in braces": ("tables: {t: {runs: [a], runs: [a]}}\n", "tables.t.runs stands twice (FILE, line 10); keep one"),
    "over several lines": (
        "tables: {t: {runs: [a],\n runs: [a]}}\n",
        "tables.t.runs stands twice (FILE, lines 10 and 11)",
    ),
    "in a list": ("claims: {x: [{y: 1, y: 1}]}\n", "claims.x[0].y stands twice (FILE, line 10)"),
    "deep below": ("x: {a: {b: {c: {d: 1, e: 2, d: 1}}}}\n", "x.a.b.c.d stands twice"),
    "as JSON": ('"x": {"y": {"z": 1, "z": 2}}\n', "x.y.z stands twice"),
    "behind a question mark": ("x:\n  ? y\n  : 1\n  ? y\n  : 2\n", "x.y stands twice (FILE, lines 11 and 13)"),
    "beside a merge": ("x: &x {a: 1}\ny: {<<: *x, b: 1, b: 2}\n", "y.b stands twice (FILE, line 11)"),
    "two merges": (
        "x: &x {a: 1}\ny: {<<: *x, <<: *x}\n",
        "y.<< stands twice (FILE, line 11); write <<: [*one, *other]",
    ),
    "behind an anchor": ("x: &x {a: 1, a: 2}\ny: *x\n", "x.a stands twice (FILE, line 10)"),
}


@pytest.mark.parametrize("what", TWICE)
def test_a_key_that_stands_twice_is_refused_with_both_lines(what: str, tmp_path: Path) -> None:
    added, problem = TWICE[what]
    found = problems(RIGHT + added, tmp_path)
    assert any(one.startswith(problem.replace("FILE", str(tmp_path / "c.yaml"))) for one in found), found
    assert sum("stands twice" in one for one in found) == 1


def test_every_key_that_stands_twice_is_told(tmp_path: Path) -> None:
    """Three times is twice twice."""
    text = RIGHT + "tables:\n  t: {runs: [a]}\n  t: {runs: [a], runs: [a]}\n  t: {runs: [a]}\n"
    found = [one for one in problems(text, tmp_path) if "stands twice" in one]
    assert [one.partition(" (")[0] for one in found] == [
        "tables.t stands twice",
        "tables.t stands twice",
        "tables.t.runs stands twice",
    ]


def test_merges_and_keys_that_override_them_stay_possible(tmp_path: Path) -> None:
    text = """
data: {d: {source: digits}}
runs:
  a: &a {network: resnet20, data: d, epochs: 2, seed: 1}
  b: {<<: *a, seed: 2}
  c: {<<: [*a, {epochs: 7}], batch_size: 64}
  d: {seed: 3, <<: *a}
"""
    runs = read(text, tmp_path).runs
    assert {name: (run.epochs, run.seed) for name, run in runs.items()} == {
        "a": (2, 1),
        "b": (2, 2),
        "c": (2, 1),
        "d": (2, 3),
    }


def test_aliases_that_repeat_much_are_looked_at_once(tmp_path: Path) -> None:
    lines = ["a0: &a0 {k: yes}"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40)]
    (tmp_path / "c.yaml").write_text("\n".join(lines))
    assert len(document.written(tmp_path / "c.yaml").problems) == 1


def test_a_circle_of_aliases_is_looked_at_once(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("a: &a {b: *a, c: no}\n")
    assert len(document.written(tmp_path / "c.yaml").problems) == 1


MISTAKEN = {
    "yes": 'reads as true; write true or "yes" in quotes',
    "No": 'reads as false; write false or "No" in quotes',
    "ON": 'reads as true; write true or "ON" in quotes',
    "off": 'reads as false; write false or "off" in quotes',
    "1:30": 'reads as 90; write 90 or "1:30" in quotes',
    "1:30:00": 'reads as 5400; write 5400 or "1:30:00" in quotes',
    "1:30.5": 'reads as 90.5; write 90.5 or "1:30.5" in quotes',
    "-2:00": 'reads as -120; write -120 or "-2:00" in quotes',
    "010": 'reads as 8; write 10, 8 or "010" in quotes',
    "-017": 'reads as -15; write -17, -15 or "-017" in quotes',
    "00": 'reads as 0; write 0 or "00" in quotes',
    "08": 'reads as text; write 8 or "08" in quotes',
    "0o10": 'reads as text; write 8 or "0o10" in quotes',
    "0b11": 'reads as 3; write 3 or "0b11" in quotes',
    "1_000": 'reads as 1000; write 1000 or "1_000" in quotes',
    "1_0.5": 'reads as 10.5; write 10.5 or "1_0.5" in quotes',
    "2020-01-01": 'reads as a date; write "2020-01-01" in quotes',
    "2020-01-01 10:00:00": 'reads as a date; write "2020-01-01 10:00:00" in quotes',
}
PLACES = {
    "runs.a.epochs": "  a: {network: resnet20, data: d, epochs: VALUE}",
    "runs.a.args.depth": "  a: {network: resnet, data: d, args: {depth: VALUE}}",
    "runs.a.args.x[1].y": "  a: {network: resnet, data: d, args: {x: [1, {y: VALUE}]}}",
    "figures.f.runs[0]": "  a: {network: resnet20, data: d}\nfigures:\n  f: {draw: contours, plane: p, runs: [VALUE]}",
    "runs.a{seed}.sweep.seed[1]": "  a{seed}: {network: resnet20, data: d, sweep: {seed: [1, VALUE]}}",
}


@pytest.mark.parametrize("word", MISTAKEN)
@pytest.mark.parametrize("place", PLACES)
def test_a_word_that_yaml_reads_as_another_value_is_refused_with_what_to_write(
    word: str, place: str, tmp_path: Path
) -> None:
    text = "data:\n  d: {source: digits}\nruns:\n" + PLACES[place].replace("VALUE", word) + "\n"
    line = text[: text.index(word)].count("\n") + 1
    found = problems(text, tmp_path)
    about = [one for one in found if one.startswith(f"{place} is ")]
    assert about == [f"{place} is {word} ({tmp_path / 'c.yaml'}, line {line}), which YAML {MISTAKEN[word]}"]


TAKEN = {
    "0x1F": 31,
    "+1": 1,
    "1e3": "1e3",
    "1e-3": "1e-3",
    "-0.5": -0.5,
    ".5": 0.5,
    "true": True,
    "False": False,
    "~": None,
    "null": None,
    "y": "y",
    "n": "n",
    "0": 0,
    "0.1": 0.1,
    '"010"': "010",
    "'yes'": "yes",
    "!!str 010": "010",
    '!!int "7"': 7,
    "1:99": "1:99",
    "1.2.3": "1.2.3",
    "a_1": "a_1",
    ">\n    yes\n": "yes\n",
}


@pytest.mark.parametrize("word", TAKEN)
def test_other_words_are_what_everybody_reads(word: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(f"x: {word}\n")
    found = document.written(tmp_path / "c.yaml")
    assert not found.problems and found.content == {"x": TAKEN[word]}
    assert type(found.content["x"]) is type(TAKEN[word])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("1.10", "1.1"),
        ("on", "true"),
        ("No", "false"),
        ("010", "8"),
        ("null", "null"),
        ("~", "null"),
        ("0x10", "16"),
        ("1_0", "10"),
        ("1:30", "90"),
        ("5.", "5.0"),
        ("+3", "3"),
        ("True", "true"),
        ("0b1", "1"),
    ],
)
@pytest.mark.parametrize("quoted", [False, True])
def test_a_name_that_yaml_reads_as_another_is_refused(name: str, value: str, quoted: bool, tmp_path: Path) -> None:
    """In quotes it is the text written, of which only the rules for names are said."""
    key = f'"{name}"' if quoted else name
    text = f"{RIGHT}tables:\n  {key}: {{runs: [a]}}\n"
    where = f"({tmp_path / 'c.yaml'}, line 11)"
    refused = f'tables.{name}: the name is {name} {where}, which YAML reads as {value}; write "{name}" in quotes'
    if name == "True" and not quoted:
        assert str(True) == name and list(read(text, tmp_path).tables) == ["True"]
        return
    try:
        found = [] if read(text, tmp_path) else ["nothing read"]
    except InputError as error:
        found = error.problems
    assert (refused in found) is not quoted
    assert all(refused == one or "is no name" in one for one in found)


def test_names_that_read_as_they_are_stand_without_quotes(tmp_path: Path) -> None:
    text = "data: {d: {source: digits}}\nruns:\n" + "".join(
        f"  {name}: {{network: resnet20, data: d}}\n" for name in ("3", "1.5", "2020-01-01", "1e3", "y", "v1.10")
    )
    assert list(read(text, tmp_path).runs) == ["3", "1.5", "2020-01-01", "1e3", "y", "v1.10"]


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("1.10", "a number"),
        ("3", "a number"),
        ("0x10", "a number"),
        ("true", "true or false"),
        ("1.5", "a number"),
        ("-2", "a number"),
        ("1.0e+3", "a number"),
        (".inf", "a number"),
        ("False", "true or false"),
    ],
)
@pytest.mark.parametrize("runs", ["[KEY]", "KEY", "[a, KEY]"])
def test_a_number_in_the_place_of_a_name_is_told_once_with_what_to_write(
    key: str, kind: str, runs: str, tmp_path: Path
) -> None:
    index = 1 if "a," in runs else 0
    text = f"{RIGHT}summary: {{plane: p, runs: {runs.replace('KEY', key)}}}\n"
    where = f"({tmp_path / 'c.yaml'}, line 10)"
    assert problems(text, tmp_path) == [
        f'summary.runs[{index}] is {key} {where}, which YAML reads as {kind}; write "{key}" in quotes'
    ]


@pytest.mark.parametrize("word", ["~", "null", "Null", ""])
def test_nothing_in_the_place_of_text_is_told(word: str, tmp_path: Path) -> None:
    where = f"({tmp_path / 'c.yaml'}, line 5)"
    told = (
        f'{word} {where}, which YAML reads as nothing; write "{word}" in quotes'
        if word
        else f"empty {where}; it must be text"
    )
    assert problems(RIGHT.replace("resnet20", word), tmp_path) == [f"runs.a.network is {told}"]


@pytest.mark.parametrize("key", ["epochs", "seed", "batch_size", "learning_rate", "momentum", "threads", "clip"])
@pytest.mark.parametrize("value", [True, False])
def test_true_and_false_are_no_numbers(key: str, value: bool) -> None:
    run = {"network": "resnet20", "data": "d", key: value}
    with pytest.raises(InputError, match=rf"runs.a.{key} is {str(value).lower()}: must be a (number|whole)"):
        reading.resolve({"data": {"d": {"source": "digits"}}, "runs": {"a": run}})


@pytest.mark.parametrize("value", [0, 1, "yes", "true", "on", 1.0, None, "no"])
def test_a_key_that_is_true_or_false_takes_nothing_else(value: Any) -> None:
    content: dict[str, Any] = yaml.safe_load(RIGHT)
    with pytest.raises(InputError, match="planes.p.centred is .*: must be true or false"):
        reading.resolve(content | {"planes": {"p": {"alpha": [-1, 1, 3], "measure": "gradients", "centred": value}}})


DAMAGED = {
    "a tab": ("runs:\n\ta: 1\n", "is not valid YAML in line 2: .*tab|line 2.*indent with spaces"),
    "two documents": ("a: 1\n---\nb: 2\n", "expected a single document in the stream but found another document"),
    "a list": ("- a\n- b\n", "the configuration is ['a', 'b']; it must be a mapping"),
    "text": ("hello\n", "the configuration is 'hello'; it must be a mapping"),
    "nothing": ("", "the configuration is None; it must be a mapping"),
    "an open bracket": ("runs: [a\nb: 1\n", "is not valid YAML in line"),
    "no such anchor": ("runs: *a\n", "is not valid YAML in line 1: found undefined alias 'a'"),
    "a list as a key": ("? [a]\n: 1\n", "is not valid YAML in line 1"),
    "text behind quotes": ("a: 'b' c\n", "is not valid YAML in line 1"),
    "a value of no kind": ("a: =\n", "is not valid YAML in line 1"),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_what_is_no_configuration_is_refused_in_one_line(what: str, tmp_path: Path) -> None:
    text, problem = DAMAGED[what]
    (found,) = problems(text, tmp_path)
    pattern = problem if "|" in problem else re.escape(problem)
    assert re.search(pattern, found) and "\n" not in found


@pytest.mark.parametrize("start", ["\ufeff", "# a comment\n", "---\n", "%YAML 1.1\n---\n"])
def test_a_byte_order_mark_and_comments_are_no_hindrance(start: str, tmp_path: Path) -> None:
    assert list(read(start + RIGHT.lstrip(), tmp_path).runs) == ["a"]


def test_what_is_written_is_read_as_it_was(tmp_path: Path) -> None:
    values = [
        "010",
        "08",
        "0o10",
        "yes",
        "1:30",
        "1_000",
        "1.10",
        "2020-01-01",
        "null",
        "~",
        "1e3",
        "a",
        "",
        "0x1",
        "y",
    ]
    content = {"values": values, "names": dict.fromkeys(values, 1), "numbers": [1, 0.1, True, None, 1e-5, -3]}
    (tmp_path / "c.yaml").write_text(document.text(content))
    found = document.written(tmp_path / "c.yaml")
    assert found.content == content and not found.problems
    assert not any(isinstance(key, datetime.date) for key in found.content["names"])


def test_snakemake_alone_and_every_verb_refuse_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(RIGHT + "runs: {b: {network: resnet20, data: d, epochs: 010}}\n")
    for verb in ("check", "run", "plan"):
        assert cli.main([verb, "c.yaml"]) == 2
        said = capsys.readouterr().err
        assert "runs stands twice (c.yaml, lines 4 and 10)" in said and "reads as 8; write 10, 8" in said
    said = snakemake(Path("c.yaml"), "-n", folder=tmp_path, expect=1)
    assert "lines 4 and 10); keep one of them" in said and "reads as 8; write 10, 8" in said
    assert "Traceback" not in said and not Path("results").exists()


def test_of_several_files_each_is_looked_at_and_they_override_each_other(tmp_path: Path) -> None:
    one, other = tmp_path / "one.yaml", tmp_path / "other.yaml"
    one.write_text(RIGHT + "results: here\n")
    other.write_text("results: there\nruns: {a: {seed: 3}}\n")
    said = snakemake(one, "--configfiles", other, "--", "there/config.yaml", "-n", folder=tmp_path, expect=None)
    assert "stands twice" not in said
    other.write_text("results: there\nresults: there\n")
    said = snakemake(one, "--configfiles", one, other, "-n", folder=tmp_path, expect=1)
    assert f"results stands twice ({other}, lines 1 and 2)" in said
