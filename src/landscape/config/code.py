"""Names of code in a configuration (`resnet`, `file.py:function`, `package.module:function`), checked without running it."""

import ast
import functools
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from landscape.errors import InputError, one_of

BUILTIN = {
    "densenet121": "landscape.networks.densenet:densenet121",
    "resnet": "landscape.networks.resnet:resnet",
    "vgg": "landscape.networks.vgg:vgg",
    "vgg9": "landscape.networks.vgg:vgg9",
}

SUPPLIED = {"in_channels", "image_size", "num_classes"}
"""Parameters that a network's function gets from its data set where the configuration does not state them."""


@dataclass(frozen=True)
class Parameters:
    """The named parameters of a function as its syntax tree shows them."""

    names: tuple[str, ...]
    required: tuple[str, ...]
    any_keyword: bool
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Those written as literals."""

    def problems(self, function: str, args: Mapping[str, Any]) -> list[str]:
        unknown = [] if self.any_keyword else [name for name in args if name not in self.names]
        found = [f"has {name!r}, and {function} takes {one_of(self.names)}" for name in unknown]
        missing = [name for name in self.required if name not in args and name not in SUPPLIED]
        return found + [f"lacks {name!r}, which {function} needs" for name in missing]


def split(name: str) -> tuple[str, str]:
    """`("package.module" or "path/file.py", "function")` of a network's name, built-in names looked up.

    Raises:
        InputError: for a name that is neither built in nor `module:function`.
    """
    name = BUILTIN.get(name, name)
    module, colon, function = name.rpartition(":")
    if not colon:
        raise InputError(
            f"is {name!r}, which is not built in; allowed are {one_of(BUILTIN)}, package.module:function, path/file.py:function"
        )
    if not function.isidentifier() or not module or not (module.endswith(".py") or _dotted(module)):
        raise InputError(f"is {name!r}; code is named as package.module:function or path/file.py:function")
    return module, function


def source_file(name: str) -> Path | None:
    """The user's file that a `path/file.py:function` names; None for what is installed."""
    module, _ = split(name)
    return Path(module) if module.endswith(".py") else None


def parameters(name: str) -> Parameters | None:
    """The parameters of the function named `name`, by the syntax tree; None where that would mean importing it.

    Only built-in networks and files are read; of `package.module:function` it is only checked that the package is
    there, since finding a submodule imports its parents.

    Raises:
        InputError: if there is no such file, package or function.
    """
    module, function = split(name)
    if module.endswith(".py"):
        path = Path(module)
        if not path.is_file():
            raise InputError(f"is {name!r}, and there is no file {module}")
    elif module.startswith("landscape."):
        path = Path(__file__).parents[1].joinpath(*module.split(".")[1:]).with_suffix(".py")
        if not path.is_file():
            raise InputError(f"is {name!r}, and there is no module {module}")
    else:
        package = module.split(".")[0]
        try:
            found = importlib.util.find_spec(package)
        except ValueError:
            found = None
        if found is None:
            raise InputError(f"is {name!r}, and no package {package} is installed")
        return None
    try:
        stat = path.stat()
        tree = _parsed(path, stat.st_size, stat.st_mtime_ns)
    except (SyntaxError, ValueError) as error:
        raise InputError(f"is {name!r}, and {path} is not valid Python: {error}") from None
    found_names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            return _of_arguments(node.args, skip=0)
        if isinstance(node, ast.ClassDef) and node.name == function:
            inits = [f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"]
            return _of_arguments(inits[0].args, skip=1) if inits else None
    if any(function in _assigned(node) for node in tree.body):
        return None
    raise InputError(f"is {name!r}, and {path} has no function {function}; it has {one_of(found_names)}")


def telling(name: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that make a difference: those that do not restate a default of the function named `name`.

    What its data set would supply always makes one, and so does a number of another type: 1 is not true, 16.0 not 16.
    """
    defaults = _known_parameters(name).defaults
    return {
        key: value
        for key, value in args.items()
        if key in SUPPLIED or key not in defaults or repr(value) != repr(defaults[key])
    }


def supplied(name: str, args: Mapping[str, Any]) -> set[str]:
    """The parameters that the function named `name` gets from a data set; none where its source is not read."""
    return SUPPLIED & set(_known_parameters(name).names) - set(args)


def _known_parameters(name: str) -> Parameters:
    try:
        return parameters(name) or Parameters((), (), True)
    except InputError:
        return Parameters((), (), True)  # which is reported where the name stands


@functools.lru_cache(maxsize=64)
def _parsed(path: Path, size: int, mtime_ns: int) -> ast.Module:
    return ast.parse(path.read_bytes(), filename=str(path))


def _of_arguments(args: ast.arguments, skip: int) -> Parameters:
    positional = [*args.posonlyargs, *args.args]
    required = positional[skip : len(positional) - len(args.defaults)]
    required += [arg for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True) if default is None]
    named = positional[skip:] + args.kwonlyargs
    stated = [*args.defaults, *args.kw_defaults]
    with_default = (positional + args.kwonlyargs)[-len(stated) :] if stated else []
    literals = {
        arg.arg: ast.literal_eval(default)
        for arg, default in zip(with_default, stated, strict=True)
        if default is not None and _is_literal(default)
    }
    return Parameters(tuple(a.arg for a in named), tuple(a.arg for a in required), args.kwarg is not None, literals)


def _is_literal(expression: ast.expr) -> bool:
    try:
        ast.literal_eval(expression)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def _assigned(node: ast.stmt) -> set[str]:
    """Names a statement of a module binds by assignment or import (`wide = partial(resnet, width=64)`)."""
    if isinstance(node, ast.Assign):
        return {target.id for target in node.targets if isinstance(target, ast.Name)}
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return {node.target.id}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name for alias in node.names}
    return set()


def _dotted(module: str) -> bool:
    return all(part.isidentifier() for part in module.split("."))
