"""Files and configurations from strangers: refused with one clear message, and nothing runs, hangs, or is changed."""

import copy
import json
import os
import pickle
import resource
import shlex
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from landscape import cli
from landscape.errors import InputError
from landscape.experiment.reading import read, resolve
from landscape.store import files

import running
from every_kind import CONFIG, FILES, commands

HEADER = files.HEADER


def said(capsys: pytest.CaptureFixture[str], code: int, *words: str | Path) -> str:
    """What a command writes to its standard error; it must end with `code`."""
    capsys.readouterr()
    assert cli.main([str(word) for word in words]) == code
    written = capsys.readouterr().err
    assert "Traceback" not in written
    assert ("Trying again will not help" in written) == (code == 2)
    return written


# Exit codes


def test_what_may_pass_ends_with_1_and_what_will_not_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ("check", running.SMOKE)
    for error, code, told in [
        (InputError("a is wrong"), 2, "error: a is wrong"),
        (FileNotFoundError(2, "No such file or directory", "x.yaml"), 2, "error: x.yaml: No such file"),
        (PermissionError(13, "Permission denied", "x.yaml"), 2, "error: x.yaml: Permission denied"),
        (OSError(5, "Input/output error", "x.yaml"), 1, "error: x.yaml: Input/output error"),
        (OSError(28, "No space left on device", "x.nc"), 1, "error: cannot write x.nc: No space left"),
        (OSError("the network is unreachable"), 1, "error: the network is unreachable"),
        (MemoryError("Unable to allocate 1 TiB"), 1, "error: out of memory: Unable to allocate 1 TiB"),
        (RuntimeError("CUDA out of memory. Tried"), 1, "error: out of memory: CUDA out of memory"),
        (KeyError("x"), 1, "error: landscape check failed unexpectedly (KeyError: 'x', in "),
    ]:

        def fails(path: str, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr("landscape.experiment.reading.read", fails)
        assert told in said(capsys, code, *words)
    monkeypatch.setenv("LANDSCAPE_TRACEBACK", "1")
    with pytest.raises(KeyError):
        cli.main(["check", "x.yaml"])


def test_a_wrong_network_ends_run_before_snakemake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    content = yaml.safe_load(CONFIG)
    content["runs"]["tiny"]["args"] = {"depth": 9}
    running.written(content, tmp_path)
    assert "runs.tiny.network: resnet's depth is 9; it must be 6 n + 2" in said(capsys, 2, "run", "config.yaml", "-n")


# YAML that is none, or too large


TINY = "data: {d: {source: digits}}\nruns: {tiny: {network: resnet, data: d, "
BROKEN = {
    "depth": ("[" * 5000, "error: config.yaml is nested too deeply"),
    "itself": (TINY + "args: &a {depth: *a}}}", "runs.tiny.args is nested too deeply"),
    "code": ("a: !!python/object/apply:os.mkdir [trap]", "error: config.yaml is not valid YAML"),
    "a long number": (f"a: {'1' * 5000}", "error: config.yaml is not valid YAML"),
    "no number": ("a: !!int ''", "error: config.yaml is not valid YAML"),
    "a zero byte": ("a: \0", "error: config.yaml is not valid YAML"),
    "sweeps": (
        "data: {d: {source: digits}}\nruns:\n  a0-{seed}: {sweep: {seed: &l [" + ", ".join(map(str, range(10000))) + "]}}\n"
        + "\n".join(f"  a{k}-{{seed}}: {{sweep: {{seed: *l}}}}" for k in range(1, 50)),
        "runs has more than 10,000 entries, sweeps included",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_yaml_is_refused_at_once(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text, problem = BROKEN[kind]
    Path("config.yaml").write_text(text)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    assert problem in said(capsys, 2, "run", "config.yaml")
    assert time.process_time() - start < 30
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kB
    assert os.listdir() == ["config.yaml"]


@pytest.mark.parametrize("words", [["check"], ["plan"], ["clean"], ["dataset", "--output", "x", "--spec"]])
def test_every_verb_that_reads_yaml_refuses_what_is_none(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.yaml"
    given = f"{path}#data.d" if words[0] == "dataset" else str(path)
    assert f"error: {path} cannot be read: No such file or directory" in said(capsys, 2, *words, given)
    path.write_text("a: [")
    assert f"error: {path} is not valid YAML" in said(capsys, 2, *words, given)


# Names


EVIL = [
    "a b",
    "a'b",
    'a"b',
    "$(touch trap)",
    "`touch trap`",
    "a;touch trap",
    "a\ntouch trap",
    "a\x00b",
    "é",
    "ａ",
    "../a",
    "/a",
    "a/b",
]
EVIL += ["..", ".a", "-rf", "~", "a|b", "a&b", "*", "{a}", "", "x" * 81]


@pytest.mark.parametrize("section", ["data", "runs", "planes", "probes", "figures", "tables"])
def test_a_name_reaches_neither_another_folder_nor_a_shell(section: str) -> None:
    entries = {
        **yaml.safe_load(CONFIG),
        "tables": {"errors": {"runs": ["tiny"]}},
    }
    for name in EVIL:
        content = copy.deepcopy(entries)
        content[section][name] = next(iter(content[section].values()))
        with pytest.raises(InputError, match="is no name|in its name and no sweep"):
            resolve(content)


def test_text_that_is_no_name_is_quoted_on_its_way_through_a_shell(tmp_path: Path) -> None:
    """A real dry run prints the shell commands, with paths and arguments that a shell would act on."""
    evil = "a b'c\"$(touch trap)`touch trap`;é"
    (tmp_path / evil).mkdir()
    (tmp_path / evil / "net.py").write_text(
        "def net(word=''):\n    import torch\n    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))\n"
    )
    np.savez(tmp_path / f"{evil}.npz", train_images=np.zeros((4, 8, 8), np.uint8), train_labels=[0, 1, 0, 1])
    run = {"network": f"{evil}/net.py:net", "args": {"word": f"{evil}{{x}}\n"}, "data": "ours", "epochs": 1}
    content = {"data": {"ours": {"source": f"{evil}.npz"}}, "runs": {"mine": run}}
    config = running.written(content, tmp_path)
    before = set(tmp_path.iterdir())
    printed = running.snakemake(config, "-n", "--printshellcmds", folder=tmp_path)
    command = next(line for line in printed.splitlines() if ": landscape train " in line)
    words = shlex.split(command)
    spec = json.loads(words[words.index("--spec") + 1])
    assert (spec["network"], spec["args"]) == (run["network"], run["args"])
    assert {path.name for path in set(tmp_path.iterdir()) - before} <= {".snakemake"}


def test_a_path_with_braces_is_refused_before_snakemake_takes_them_for_a_wildcard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images/train/{x}").mkdir(parents=True)
    for name in ("{x}.npz", "{x}.pt", "{x}.py"):
        (tmp_path / name).write_text("def net(): pass")
    run = {"network": "vgg9", "data": "digits"}
    for section, entry, path in [
        ("data", {"source": "{x}.npz"}, "{x}.npz"),
        ("data", {"source": "images"}, "images/train/{x}"),
        ("runs", {**run, "weights": "{x}.pt"}, "{x}.pt"),
        ("runs", {**run, "network": "{x}.py:net"}, "{x}.py:net"),
        ("runs", {**run, "code": ["{x}.py"]}, "{x}.py"),
    ]:
        content = yaml.safe_load(CONFIG)
        content[section]["odd"] = entry
        with pytest.raises(InputError) as refused:
            resolve(content)
        assert [
            problem for problem in refused.value.problems if f"names {path!r}, and a path may have no braces" in problem
        ]
    with pytest.raises(InputError, match="results is 'a{x}': must be a folder name of letters"):
        resolve({**yaml.safe_load(CONFIG), "results": "a{x}"})


# Files that are no data


def test_weights_that_name_a_strangers_function_do_not_call_it(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "w.safetensors"
    header = dict(files.read_header(made / "out" / FILES["weights"]))
    header["spec"] = {**header["spec"], "network": "os:mkdir", "args": {"path": str(tmp_path / "trap")}}
    save_file(load_file(made / "out" / FILES["weights"]), path, {HEADER: json.dumps(header)})
    words = [str(path) if str(word).endswith("runs/tiny/weights.safetensors") else word for word in on_weights(made)]
    problem = said(capsys, 2, *words, tmp_path / "d.safetensors")
    assert "the network 'os:mkdir', which is code from outside of landscape" in problem
    assert not (tmp_path / "trap").exists()
    monkeypatch.setenv("LANDSCAPE_NETWORKS", "a.py:b\nos:mkdir")
    assert "os:mkdir(path=" in said(capsys, 2, *words, tmp_path / "d.safetensors")
    assert (tmp_path / "trap").exists()  # the trap works


def on_weights(made: Path) -> list[str | Path]:
    return ["directions", *commands(made / "out")["directions"][:-1]]


class Creates:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("trap",)


def test_no_verb_runs_a_pickle(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": load_file(made / "out" / FILES["weights"]), "more": Creates()}, "w.pt")
    Path("plain.pkl").write_bytes(pickle.dumps(Creates()))
    np.savez("ours.npz", train_images=np.array([Creates()], object), train_labels=np.zeros(1, np.int64))
    run = {"network": "resnet", "args": {"depth": 8, "width": 2}, "data": "digits"}
    data = made / "out" / FILES["data set"]

    def adopt(file: str) -> str:
        spec = json.dumps({**run, "weights": file})
        return said(capsys, 2, "adopt", "--spec", spec, "--data", data, "--output", "a", "b", "c")

    assert "holds more than tensors" in (problem := adopt("w.pt")) and "could run code" in problem
    adopt("plain.pkl")
    said(capsys, 2, "dataset", "--spec", '{"source": "ours.npz"}', "--output", "d")
    for name in ("w.pt", "plain.pkl", "ours.npz"):
        said(capsys, 2, "show", name)
    assert not Path("trap").exists()


def test_a_netcdf_file_larger_than_it_is_takes_no_memory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("x", 2**40)
        file.createVariable("loss", "f8", ("x",), zlib=True, chunksizes=(2**20,))
    assert path.stat().st_size < 100_000
    problem = said(capsys, 2, "show", path)
    assert "a.nc is not a whole NetCDF file: it says that it holds 8,796,093,022,208 bytes" in problem


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_is_cut_or_of_another_kind_is_named(
    kind: str, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = made / "out" / FILES[kind]
    what = "NetCDF" if whole.suffix == ".nc" else "safetensors"
    content = whole.read_bytes()
    huge = (2**62).to_bytes(8, "little") + content[8:]
    for damage in (content[:-1], content[: len(content) // 2], content[:7], b"", b"text " * 99, huge):
        path = tmp_path / f"damaged{whole.suffix}"
        path.write_bytes(damage)
        assert f"error: {path} is not a whole {what} file: " in said(capsys, 2, "show", path)


@pytest.mark.parametrize(
    ("verb", "kind", "key", "value", "problem"),
    [
        ("directions", "weights", "name", {"a": 1}, "its header has {'a': 1} for name"),
        ("train", "data set", "classes", "ten", "its header has 'ten' for classes"),
        ("trajectory", "epochs", "epochs", [0, 1], "its header names the epochs [0, 1], and it holds [0, 1, 2]"),
    ],
)
def test_an_entry_of_another_kind_is_named(
    verb: str,
    kind: str,
    key: str,
    value: Any,
    problem: str,
    made: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = made / "out" / FILES[kind]
    path = tmp_path / "a.safetensors"
    save_file(load_file(whole), path, {HEADER: json.dumps({**files.read_header(whole), key: value})})
    assert f"error: {path} is damaged: {problem}" in said(capsys, 2, verb, *instead(made, verb, whole, path))


@pytest.mark.parametrize(
    ("verb", "kind", "change", "problem"),
    [
        ("merge", "tile", lambda tile: tile.drop_vars("beta"), "lacks the variables ['beta']"),
        ("figure", "surface", lambda surface: surface.drop_vars("alpha"), "is damaged: it is a surface without alpha"),
        ("figure", "history", lambda history: history.assign_attrs(spec="x"), "is damaged: its attribute spec is 'x'"),
    ],
)
def test_what_a_dataset_lacks_is_named(
    verb: str, kind: str, change: Any, problem: str, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, path = made / "out" / FILES[kind], tmp_path / "a.nc"
    files.write_dataset(change(files.read_dataset(whole)), path)
    assert f"error: {path} {problem}" in said(capsys, 2, verb, *instead(made, verb, whole, path))


def instead(made: Path, verb: str, whole: Path, path: Path) -> list[str]:
    """The options of a verb with another file in the place of one of its inputs; what it makes goes beside that file."""
    words = [str(word) for word in commands(made / "out")[verb]]
    end = words.index("--output") + 1
    inputs = [str(path) if word == str(whole) else word for word in words[:end]]
    return inputs + [str(path.with_name(f"made-{Path(word).name}")) for word in words[end:]]


def test_a_file_of_the_wrong_kind_is_named(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(word) for word in commands(made / "out")["figure"]]
    swapped = [str(made / "out" / FILES["trajectory"]) if word.endswith("contour.nc") else word for word in words[:-1]]
    problem = said(capsys, 2, "figure", *swapped, tmp_path / "f.pdf")
    assert "needs the surface of tiny on contour" in problem


# Anything at all


ODD: list[Any] = [
    None,
    True,
    False,
    -1,
    0,
    1,
    3.5,
    1e300,
    float("nan"),
    "x",
    "",
    "*",
    "a b",
    "$(ls)",
    "../x",
    "os:mkdir",
    10**30,
    [],
    [1],
    {},
]
ODD += [{"a": 1}, [[]], "é\n", "tiny", "contour", "tiny@001", "{seed}", {"seed": [1, 2]}]


def places(content: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    parts = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, part in parts:
        yield from places(part, (*at, key))


def mutated(content: Any, draw: Callable[..., Any]) -> Any:
    """With one part left out, replaced by something odd, or by another part."""
    content = copy.deepcopy(content)
    *way, last = draw(st.sampled_from(list(places(content))[1:]))
    inside = content
    for key in way:
        inside = inside[key]
    match draw(st.sampled_from(["without", "odd", "other"])):
        case "without":
            del inside[last]
        case "odd":
            inside[last] = draw(st.sampled_from(ODD))
        case _:
            other = content
            for key in draw(st.sampled_from(list(places(content)))):
                other = other[key]
            inside[last] = copy.deepcopy(other)
    return content


def ends_well(words: list[str], inputs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    """The command works, or says what is wrong; in neither case are its inputs changed."""
    before = [path.read_bytes() for path in inputs]
    capsys.readouterr()
    start = time.process_time()
    code = cli.main(words)
    written = capsys.readouterr().err
    assert code in (0, 1, 2)
    assert "Traceback" not in written and "was not made for" not in written and ("error: " in written) == (code != 0)
    assert time.process_time() - start < 20
    assert [path.read_bytes() for path in inputs] == before


FEW = settings(
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    print_blob=False,
    max_examples=12,
)


@FEW
@given(data=st.data())
def test_any_configuration(
    data: st.DataObject, made: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    content = yaml.safe_load(CONFIG)
    for _ in range(data.draw(st.integers(1, 4))):
        content = mutated(content, data.draw)
    text = yaml.safe_dump(content)
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(text)))
        text = (
            text[:at]
            + data.draw(st.sampled_from(["[", "{", "*", "&a", "!!", "\0", "\t", "%", "<<: ", "é"]))
            + text[at:]
        )
    config = folder / "config.yaml"
    config.write_text(text)
    page, spec = [str(folder / name) for name in ("c.yaml", "c.html")], f"{config}#planes.contour"
    tiles = [str(made / "out" / f"surfaces/tiny/contour/{k}of2.nc") for k in (1, 2)]
    for words in (
        ["clean", str(config)],
        ["configuration", str(config), "--output", *page],
        ["merge", "--spec", spec, "--tiles", *tiles, "--output", str(folder / "m.nc")],
        ["show", str(config)],
    ):
        ends_well(words, [config], capsys)
    try:
        read(config)
    except InputError:
        for verb in ("run", "check", "plan"):  # of a right one they build networks, or start Snakemake
            ends_well([verb, str(config)], [config], capsys)


def damaged(whole: Path, path: Path, draw: Callable[..., Any]) -> None:
    """A file with another header, or other bytes here and there: near its beginning, since the rest is numbers."""
    if whole.suffix == ".safetensors" and draw(st.booleans()):
        header = mutated(dict(files.read_header(whole)), draw)
        save_file(load_file(whole), path, {HEADER: json.dumps(header)})
        return
    if whole.suffix == ".nc" and draw(st.booleans()):
        dataset = files.read_dataset(whole)
        name = draw(st.sampled_from(sorted(map(str, dataset.variables)) + sorted(dataset.attrs)))
        if name in dataset.variables:
            dataset = dataset.drop_vars(name)
        elif draw(st.booleans()):
            del dataset.attrs[name]
        else:
            dataset.attrs[name] = draw(st.sampled_from([odd for odd in ODD if type(odd) in (float, str) and odd]))
        files.write_dataset(dataset, path)
        return
    content = bytearray(whole.read_bytes())
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, max(0, min(len(content), draw(st.sampled_from([64, 4096]))) - 1)))
        match draw(st.sampled_from(["byte", "number", "cut", "more"])):
            case "byte":
                content[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case "number":
                content[at : at + 8] = (2 ** draw(st.integers(0, 63))).to_bytes(8, "little")
            case "cut":
                del content[at:]
            case _:
                content[at:at] = draw(st.binary(max_size=20))
    path.write_bytes(content)


@settings(FEW, max_examples=9)
@given(data=st.data())
@pytest.mark.parametrize("verb", ["directions", "tile", "merge", "trajectory", "mark", "probe", "figure", "train"])
def test_any_file(
    verb: str,
    data: st.DataObject,
    made: Path,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path_factory.mktemp("any")
    words = [str(word) for word in commands(made / "out")[verb]]
    end = words.index("--output")
    inputs = [k for k, word in enumerate(words[:end]) if word.startswith(str(made / "out"))]
    chosen = data.draw(st.sampled_from(inputs))
    whole = Path(words[chosen])
    path = folder / whole.name
    damaged(whole, path, data.draw)
    words[chosen] = str(path)
    words[end + 1 :] = [str(folder / "made" / Path(word).name) for word in words[end + 1 :]]
    ends_well(["show", str(path)], [path], capsys)
    ends_well([verb, *words], [path], capsys)
    shutil.rmtree(folder)
