"""Check names of code in a configuration (`resnet56`, `file.py:function`, `package.module:function`) without running it."""

import ast
import functools
import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from landscape.errors import InputError, meant, one_of

BUILTIN = {
    "densenet121": "landscape.networks.densenet:densenet121",
    "mlp": "landscape.networks.mlp:mlp",
    "resnet": "landscape.networks.resnet:resnet",
    "vgg": "landscape.networks.vgg:vgg",
    "vgg9": "landscape.networks.vgg:vgg9",
}

_RESNETS = {
    "resnet{depth}[-noshort]": re.compile(r"resnet(?P<depth>[1-9]\d*)(?P<noshort>-noshort)?"),
    "wrn{depth}-{k}[-noshort]": re.compile(r"wrn(?P<depth>[1-9]\d*)-(?P<k>[1-9]\d*)(?P<noshort>-noshort)?"),
}
"""Names of `resnet` with arguments: `wrn56-4-noshort` has depth 56, width 4 * 16 and no shortcuts (Li et al. 2018)."""

SUPPLIED = {"in_channels", "image_size", "num_classes"}
"""Parameters that come from the data set if the configuration does not state them."""


@dataclass(frozen=True)
class Parameters:
    """Named parameters of a function, read from its syntax tree."""

    names: tuple[str, ...]
    required: tuple[str, ...]
    any_keyword: bool
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Default values that are literals."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Arguments set by the name itself: `resnet56` sets the depth."""

    def problems(self, function: str, args: Mapping[str, Any]) -> list[str]:
        unknown = [] if self.any_keyword else [name for name in args if name not in self.names]
        free = [name for name in self.names if name not in self.fixed]
        found = [f"has {name!r}, and {function} takes {one_of(free, name)}" for name in unknown]
        found += [f"has {name!r}, which {function} sets to {self.fixed[name]!r}" for name in args if name in self.fixed]
        missing = [name for name in self.required if name not in {*args, *self.fixed, *SUPPLIED}]
        return found + [f"lacks {name!r}, which {function} needs" for name in missing]


def expanded(name: str) -> tuple[str, dict[str, Any]]:
    """Split a network's name into name and arguments: `resnet56` gives `("resnet", {"depth": 56})`."""
    for pattern in _RESNETS.values():
        if match := pattern.fullmatch(name):
            said = match.groupdict()
            fixed: dict[str, Any] = {"depth": int(said["depth"])}
            if "k" in said:
                fixed["width"] = 16 * int(said["k"])
            if said["noshort"]:
                fixed["shortcut"] = False
            return "resnet", fixed
    return name, {}


def split(name: str) -> tuple[str, str]:
    """Split a name into `("package.module" or "path/file.py", "function")`, after a look-up of built-in names.

    Raises:
        InputError: if the name is neither built in nor `module:function`.
    """
    base, _ = expanded(name)
    module, colon, function = BUILTIN.get(base, base).rpartition(":")
    if not colon:
        allowed = [*BUILTIN, *_RESNETS, "package.module:function", "path/file.py:function"]
        raise InputError(
            f"is {name!r}, which is not built in; allowed are {', '.join(allowed)}{meant(_like(name), name)}"
        )
    if not _dotted(function) or not module or not (module.endswith(".py") or _dotted(module)):
        raise InputError(f"is {name!r}; code is named as package.module:function or path/file.py:function")
    return module, function


def _like(name: str) -> list[str]:
    """List built-in names, those of families with the numbers in `name`."""
    numbers = [*re.findall(r"\d+", name), "20", "1"]
    families = [family.format(depth=numbers[0], k=numbers[1]).partition("[") for family in _RESNETS]
    return [*BUILTIN, *(plain for plain, _, _ in families), *(plain + rest.strip("[]") for plain, _, rest in families)]


def source_file(name: str) -> Path | None:
    """Return the file of `path/file.py:function`; None for other names."""
    module, _ = split(name)
    return Path(module) if module.endswith(".py") else None


def parameters(name: str) -> Parameters | None:
    """Read the parameters of the function `name` from its syntax tree; None if only an import could tell them.

    Reads built-in networks and files. For `package.module:function` it only checks that the package is installed, since
    finding a submodule would import its parents.

    Raises:
        InputError: if the file, package or function does not exist.
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
    function, *within = function.split(".")
    found_names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    if within and function in found_names:
        return None  # a method, whose arguments only an import tells
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            return replace(_of_arguments(node.args, skip=0), fixed=expanded(name)[1])
        if isinstance(node, ast.ClassDef) and node.name == function:
            inits = [f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"]
            return _of_arguments(inits[0].args, skip=1) if inits else None
    if any(function in _assigned(node) for node in tree.body):
        return None
    raise InputError(f"is {name!r}, and {path} has no function {function}; it has {one_of(found_names, function)}")


def telling(name: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments, those in the name included, that differ from the defaults.

    Arguments that the data set could supply are always returned, and so is a number of another type: 1 is not true, 16.0
    is not 16.
    """
    known = _known_parameters(name)
    defaults = known.defaults
    return {
        key: value
        for key, value in {**known.fixed, **args}.items()
        if key in SUPPLIED or key not in defaults or repr(value) != repr(defaults[key])
    }


def plain(name: str, args: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return a network's plain name and all its arguments, those in the name and the defaults included."""
    known = _known_parameters(name)
    defaults = {key: value for key, value in known.defaults.items() if key not in SUPPLIED}
    return expanded(name)[0], {**defaults, **known.fixed, **args}


def supplied(name: str, args: Mapping[str, Any]) -> set[str]:
    """Return the parameters that the function `name` takes from a data set; none if its source is not read."""
    return SUPPLIED & set(_known_parameters(name).names) - set(args)


def _known_parameters(name: str) -> Parameters:
    try:
        return parameters(name) or Parameters((), (), True)
    except InputError:
        return Parameters((), (), True)  # the check of the name reports it


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
    """Names that a statement binds by assignment or import (`wide = partial(resnet, width=64)`)."""
    if isinstance(node, ast.Assign):
        return {target.id for target in node.targets if isinstance(target, ast.Name)}
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return {node.target.id}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name for alias in node.names}
    return set()


def _dotted(module: str) -> bool:
    return all(part.isidentifier() for part in module.split("."))
