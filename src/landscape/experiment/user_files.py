"""Finds mistakes in the files and the code that a configuration names."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from landscape.data.builtin_datasets import FETCHED
from landscape.data.data_section import Data
from landscape.errors import InputError, meant, one_of
from landscape.networks import code
from landscape.store import weight_files
from landscape.training.run_section import Run


def of_data(path: str, data: Data) -> Iterator[str]:
    source = data.source
    match data.kind:
        case "function":
            yield from _function(f"{path}.source", path, source, data.args)
        case "npz" | "safetensors" if not Path(source).is_file():
            yield f"{path}.source is {source!r}, and there is no such file"
        case "folder" if not Path(source).is_dir():
            yield (
                f"{path}.source is {source!r}; allowed are {one_of(FETCHED)}, path/to/file.npz, path/to/file.safetensors, "
                f"a folder of images, "
                f"package.module:function, path/file.py:function{meant(FETCHED, source)}"
            )
        case "folder":
            folders = (*Path(source).glob("*/"), *Path(source).glob("*/*/"))
            yield from _braces(f"{path}.source", map(str, folders))
    yield from _missing(path, "code", data.code)
    yield from _braces(path, [source, *data.code])


def of_run(path: str, run: Run) -> Iterator[str]:
    yield from _function(f"{path}.network", path, run.network, run.args)
    if run.train is not None:
        yield from _function(f"{path}.train.name", path, run.train.name, None)
    for key, function in {"loss.name": run.loss.name, "objective": run.objective, "score": run.score}.items():
        if function is not None and ":" in function:
            yield from _function(f"{path}.{key}", path, function, None)
    weights = [run.weights.path] if run.weights and run.weights.path else []
    epochs = [] if isinstance(run.epochs, int) else list(run.epochs)
    for key, files in (("weights", weights), ("epochs", epochs)):
        for file in files:
            try:
                weight_files.parts(file)
            except InputError as error:
                yield f"{path}.{key}: {error}"
    yield from _missing(path, "code", run.code)
    yield from _braces(
        path, [run.network, *([run.train.name] if run.train else []), *run.own_functions, *weights, *epochs, *run.code]
    )


def _function(key: str, path: str, function: str, args: Mapping[str, Any] | None) -> Iterator[str]:
    """Find mistakes in the name of a function and, unless None, in the arguments by name."""
    try:
        parameters = code.parameters(function)
    except InputError as error:
        yield f"{key} {error}"
    else:
        if parameters and args is not None:
            yield from (f"{path}.args {problem}" for problem in parameters.problems(function, args))


def _missing(path: str, key: str, files: Iterable[str]) -> Iterator[str]:
    yield from (f"{path}.{key} is {file!r}, and there is no such file" for file in files if not Path(file).is_file())


def _braces(path: str, files: Iterable[str]) -> Iterator[str]:
    """Snakemake, which is given these paths, takes what stands in braces for a wildcard."""
    for file in files:
        if "{" in file or "}" in file:
            yield f"{path} names {file!r}, and a path may have no braces in it; rename it"
