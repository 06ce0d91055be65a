"""The keywords of the public functions are the keys of the configuration: names, types, defaults, descriptions."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import TypeAdapter

import landscape as ls
from landscape.experiment.schema import KINDS_OF, SECTIONS
from landscape.experiment.signatures import LEFT_OUT, fields_of
from landscape.objective.objective_section import ObjectiveKeys

FUNCTIONS = {
    "plane": ("planes", ""),
    "line": ("planes", ""),
    "path": ("planes", "loss"),
    "basis": ("planes", "loss"),
    "probe": ("probes", ""),
    "eigenpairs": ("probes", "eigenpairs"),
    "spectrum": ("probes", "spectrum"),
    "trace": ("probes", "trace"),
    "activations": ("probes", "activations"),
    "saddle": ("probes", "saddle"),
    "train": ("runs", ""),
    "dataset": ("data", ""),
}
"""The section behind the keywords of each function, and the kind of entry if there is but one."""

WITHOUT = {
    "line": {"beta"},
    "path": {"alpha", "beta", "rise"},
    "basis": {"alpha", "beta", "rise", "examples", "recalibration_examples", "precision"},
}
"""Keys that a function has no use for."""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_keywords_are_the_keys(name: str) -> None:
    section, kind = FUNCTIONS[name]
    parameters = inspect.signature(getattr(ls, name)).parameters
    fields = {key: of for key, of in fields_of(section, kind).items() if key not in WITHOUT.get(name, ())}
    keys = [key for key in parameters if key in fields_of(section)]
    assert keys == list(fields), "each once, in the order of the section, and none of the left-out"
    assert not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    doc = " ".join((getattr(ls, name).__doc__ or "").split())
    for key, of in fields.items():
        parameter = parameters[key]
        defaults = [field.default for field in of if not field.is_required()]
        assert parameter.kind is parameter.KEYWORD_ONLY
        assert parameter.default == (defaults[0] if defaults else parameter.empty)
        assert all(default == defaults[0] for default in defaults)
        described = [field.description for field in of if field.description]
        assert not described or f"{key}: {' '.join(described[0].split())}" in doc


@pytest.mark.parametrize(
    "name",
    ["plane", "line", "path", "probe", "eigenpairs", "spectrum", "trace", "activations", "saddle", "train", "adopt"],
)
def test_the_loss_is_told_in_the_words_of_a_run(name: str) -> None:
    parameters, doc = inspect.signature(getattr(ls, name)).parameters, " ".join(getattr(ls, name).__doc__.split())
    for key, field in ObjectiveKeys.model_fields.items():
        assert parameters[key].kind is inspect.Parameter.KEYWORD_ONLY and parameters[key].default is None
        assert ("Callable" in str(parameters[key].annotation)) == (key != "output")
        told = f"{key}: {' '.join(str(field.description).replace('file.py:function', 'a function').split())}"
        assert (told in doc) == (name in ("plane", "path", "probe", "train", "adopt")), "others refer to them"
    assert "minimised:" not in doc and not any(one.kind is one.VAR_KEYWORD for one in parameters.values())


def test_adopt_takes_nothing_else() -> None:
    digits = ls.dataset("digits", examples=20)
    network = ls.network("mlp", digits, hidden=[2])
    with pytest.raises(ls.InputError, match="epochs is no keyword of landscape.adopt"):
        ls.adopt(network, network, digits, epochs=3)


@pytest.mark.parametrize("section", ["planes", "probes", "runs", "data"])
def test_every_key_is_a_keyword_or_left_out(section: str) -> None:
    kinds = KINDS_OF[section][1].values() if section in KINDS_OF else [SECTIONS[section]]
    keys = {key for kind in kinds for key in kind.model_fields}
    assert keys == fields_of(section).keys() | LEFT_OUT[section]


def test_a_type_allows_what_every_kind_allows() -> None:
    parameters = inspect.signature(ls.plane).parameters
    assert parameters["measure"].annotation == Literal["loss", "gradients", "curvature"]
    assert parameters["precision"].annotation == Literal["fp32", "tf32", "bf16", "fp64"]
    assert parameters["beta"].annotation == tuple[float, float, int] | tuple[Literal["auto"], int] | None
    assert inspect.signature(ls.probe).parameters["measure"].default is inspect.Parameter.empty


@pytest.mark.parametrize("name", FUNCTIONS)
def test_types_say_nothing_to_pydantic(name: str) -> None:
    for parameter in inspect.signature(getattr(ls, name)).parameters.values():
        assert "Annotated" not in str(parameter)
        if not isinstance(parameter.annotation, str) and parameter.default is not parameter.empty:
            assert _allows(parameter.annotation, parameter.default), str(parameter)


def _allows(annotation: Any, value: Any) -> bool:
    if get_origin(annotation) is Literal:
        return value in get_args(annotation)
    return bool(TypeAdapter(annotation).validate_python(value) == value)


def test_importing_the_package_costs_nothing() -> None:
    heavy = ("torch", "numpy", "xarray", "pydantic", "matplotlib", "landscape.api")
    code = f"import sys, landscape; dir(landscape); print(*(set({heavy}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_type_checkers_see_the_public_names_where_they_are() -> None:
    source = ast.parse(Path(ls.__file__).read_text())
    (block,) = (node for node in source.body if isinstance(node, ast.If))
    seen = {
        alias.name: f"{node.module}.draw" if alias.name == "draw" else str(node.module)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == ls._MODULES
    assert all(getattr(ls, name).__module__ == ls._MODULES[name] for name in seen if name != "draw")
    assert set(dir(ls)) == {*seen, "__version__"}


def test_signatures_are_made_without_torch() -> None:
    code = (
        "import sys; from landscape.experiment.signatures import keywords\n"
        "def function(**keys): 'Look.\\n\\n    Args:\\n        keys: all.\\n'\n"
        "keywords('planes')(function); assert 'seed' in function.__doc__\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
