"""Import the function that a configuration names."""

import contextlib
import hashlib
import importlib
import importlib.util
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from landscape.errors import InputError, one_of
from landscape.networks import code
from landscape.networks.model_libraries import importable_torchvision
from landscape.networks.torchvision_shim import with_torchvision


@contextlib.contextmanager
def function_named(name: str, prefix: str | None = None) -> Iterator[Callable[..., Any]]:
    """Import the function `name`, built in or `module:function`; inside the block its file's folder is on the import path.

    Args:
        prefix: beginning of error messages; by default the name.

    Raises:
        InputError: if the function is missing, or its import fails.
    """
    prefix = f"{name}: " if prefix is None else prefix
    try:
        module_name, attribute = code.split(name)
    except InputError as error:
        raise InputError(f"the name {error}") from None
    path = code.source_file(name)
    with _folder_of(path) if path else contextlib.nullcontext():
        try:
            if not path and module_name.partition(".")[0] in ("timm", "transformers"):
                importable_torchvision()
            module = with_torchvision(lambda: _executed(path) if path else importlib.import_module(module_name))
            function: Any = module
            for part in attribute.split("."):
                function = getattr(function, part, None)
        except (Exception, SystemExit) as error:
            raise InputError(f"{prefix}importing {module_name} failed: {type(error).__name__}: {error}") from error
        if not callable(function):
            callables = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
            raise InputError(f"{prefix}{module_name} has no function {attribute}; it has {one_of(callables)}")
        yield function


@contextlib.contextmanager
def _folder_of(path: Path) -> Iterator[None]:
    """Put the file's folder first on the import path, and forget its modules at the end.

    So two functions may each import a file of the same name from their own folders.
    """
    folder = path.resolve().parent
    aside = _namesakes(folder)
    for name in aside:
        del sys.modules[name]
    before = {*sys.modules, _name(path)}
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            if folder in Path(getattr(sys.modules[name], "__file__", None) or "").parents:
                del sys.modules[name]
        sys.modules.update(aside)


def _namesakes(folder: Path) -> dict[str, ModuleType]:
    """Imported modules from other folders with names of files in this folder, installed packages excepted."""
    own = {file.stem for file in folder.glob("*.py")} | {file.parent.name for file in folder.glob("*/__init__.py")}
    installed = [Path(sysconfig.get_path(kind)).resolve() for kind in ("stdlib", "purelib", "platlib")]
    kept = (folder, Path(__file__).resolve().parents[2], *installed)
    return {
        name: module
        for name, module in sys.modules.items()
        if name.partition(".")[0] in own
        and (file := getattr(module, "__file__", None))
        and not any(root in Path(file).resolve().parents for root in kept)
    }


def _executed(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(_name(path), path.resolve())
    if spec is None or spec.loader is None or not path.is_file():
        raise ImportError(f"there is no file {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their classes up there
    spec.loader.exec_module(module)
    return module


def _name(path: Path) -> str:
    """A module name unique to the file."""
    return f"{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
