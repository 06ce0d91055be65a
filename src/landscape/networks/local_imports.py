"""Find the user's own files behind a function: its module, and the modules beside it that it imports. Nothing is run."""

import ast
import functools
import importlib.util
import os
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

from landscape.networks import code

_PACKAGES = {"site-packages", "dist-packages"}
"""Names of Python's folders, of which an environment may see several: the user's, the system's."""


def own_code(functions: Iterable[str], stated: Iterable[str]) -> list[Path]:
    """List the user's own files behind functions: those that define them, the files `stated`, and what all these import.

    A file `path/file.py` imports from its folder and from packages there. A module `package.module` is the user's own if
    its package is not installed in Python's folders, and imports from the folder that its package is in. Imports count
    wherever they stand, in a function too; so does `import_module` of a literal name.
    """
    given = {path: root for function in functions for path, root in _defining(function)}
    given |= {path: _folder(path) for path in map(Path, stated) if path not in given}
    found: dict[Path, None] = {}
    for file, root in given.items():
        waiting = [file]
        while waiting:
            for path in _imports(waiting.pop(), root):
                if path not in found and path not in given:
                    found[path] = None
                    waiting.append(path)
    return [*given, *sorted(found)]


def _defining(function: str) -> Iterator[tuple[Path, Path]]:
    """Yield the files that define a function, each with the folder that it imports from."""
    module, _ = code.split(function)
    if module.endswith(".py"):
        yield Path(module), _folder(Path(module))
    elif root := _root(module.partition(".")[0]):
        yield from ((path, root) for path in _files(module, root))


def _folder(file: Path) -> Path:
    """The folder that is on the import path while a file is imported; a link is followed."""
    folder = file.resolve().parent
    return file.parent if file.parent.resolve() == folder else folder


@functools.cache
def _root(package: str) -> Path | None:
    """The folder on the import path that holds a package of the user's own; None for one that is installed."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    if package == "landscape" or spec is None or spec.origin is None or not os.path.isfile(spec.origin):
        return None
    folder = Path(spec.origin).parents[1 if spec.submodule_search_locations else 0]
    above = {folder.resolve(), *folder.resolve().parents}
    installed = {Path(sysconfig.get_path(kind)).resolve() for kind in ("stdlib", "platstdlib", "purelib", "platlib")}
    return None if installed & above or _PACKAGES & {path.name for path in above} else folder


def _imports(file: Path, root: Path) -> Iterator[Path]:
    """Yield the files that one file imports from `root`, or from its own package."""
    try:
        found = os.stat(file)
        names = _names(file, (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino))
    except (OSError, SyntaxError, ValueError, RecursionError):
        return  # the check of the name reports it
    for dots, name in names:
        base = root if dots == 0 else Path(os.path.normpath(file.parent.joinpath(*[".."] * (dots - 1))))
        yield from _files(name, base)


@functools.lru_cache(maxsize=1024)
def _names(file: Path, stamp: tuple[int, ...]) -> list[tuple[int, str]]:
    """List the modules that a file imports, each with the dots before its name; a name from a module may be one too."""
    if file.suffix != ".py":
        return []
    names: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(file.read_bytes())):
        match node:
            case ast.Import():
                names += [(0, alias.name) for alias in node.names]
            case ast.ImportFrom():
                before = f"{node.module}." if node.module else ""
                names += [(node.level, before + alias.name) for alias in node.names]
            case (
                ast.Call(func=ast.Attribute(attr="import_module") | ast.Name(id="import_module" | "__import__")) as call
            ):
                if call.args and isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str):
                    name = call.args[0].value.lstrip(".")
                    names.append((len(call.args[0].value) - len(name), name))
    return names


def _files(name: str, base: Path) -> Iterator[Path]:
    """Yield the files of a module and of the packages that it is in, innermost first."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        place = base.joinpath(*parts[:length])
        files = (place / "__init__.py", place.with_name(f"{place.name}.py")) if parts[length - 1] else ()
        yield from [path for path in files if path.is_file()][:1]
