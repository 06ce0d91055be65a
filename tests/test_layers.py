"""Imports point down only, and what reads configurations or draws never loads torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src/landscape"
LAYERS = [
    {"__main__"},
    {"cli"},
    {"api", "running", "analysis"},
    {"experiment"},
    {"figures"},
    {"measures", "probes"},
    {"training"},
    {"hessian"},
    {"engine"},
    {"directions"},
    {"geometry"},
    {"objective"},
    {"data"},
    {"networks"},
    {"store"},
    {"config", "progress", "artefacts", "lazy"},
    {"errors"},
]
"""From the roof to the foundation. A module imports from its own layer or from below."""

MAY_IMPORT_BESIDE: set[tuple[str, str]] = set()


def imports(path: Path) -> set[str]:
    """The modules of the package that a file imports, by their first name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            parts = node.module.split(".")
            if parts == ["landscape"]:
                found |= {alias.name for alias in node.names}
            elif parts[0] == "landscape":
                found.add(parts[1])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("landscape.")}
    return found


def layer_of(module: str) -> int:
    return next(k for k, layer in enumerate(LAYERS) if module in layer)


def test_imports_point_down() -> None:
    seen = set()
    for path in PACKAGE.rglob("*.py"):
        module = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if module == "__init__":
            continue
        seen.add(module)
        for imported in imports(path) - {module, "__version__"}:
            lower = layer_of(imported) > layer_of(module)
            assert lower or (module, imported) in MAY_IMPORT_BESIDE, f"{path.name} imports {imported}"
    assert seen == set().union(*LAYERS), "LAYERS names every module"


@pytest.mark.parametrize(
    "module",
    [
        "experiment.reading",
        "experiment.preflight",
        "experiment.jobs",
        "experiment.documentation",
        "figures",
        "geometry",
        "store.files",
        "analysis.summary",
        "running.launch",
        "measures.tiling",
    ],
)
def test_without_torch(module: str) -> None:
    code = f"import sys, landscape.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("library", ["torch", "numpy", "xarray", "matplotlib", "scipy", "pandas"])
def test_reading_a_configuration_needs_no_library_that_computes_or_draws(library: str, read: set[str]) -> None:
    assert library not in read


@pytest.fixture(scope="module")
def read() -> set[str]:
    """The modules of a process that has read a configuration, with the kinds of figures, measures and probes in it."""
    config = PACKAGE.parents[1] / "config/default.yaml"
    code = f"import sys; from landscape.experiment import reading; reading.read({str(config)!r}); print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    return set(said.split())


def test_drawing_and_reading_the_configuration_leave_torch_alone(tmp_path: Path) -> None:
    config = PACKAGE.parents[1] / "config/default.yaml"
    code = f"import sys; from landscape import figures; from landscape.experiment import reading; reading.read({str(config)!r}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_no_two_classes_or_modules_have_one_name() -> None:
    """Kinds, measures and probes are named by their key, which may be one word in two sections."""
    classes: dict[str, list[str]] = {}
    modules: dict[str, list[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        if path.name != "__init__.py":
            modules.setdefault(path.stem, []).append(path.parent.name)
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                classes.setdefault(node.name, []).append(path.stem)
    assert {name: where for name, where in classes.items() if len(where) > 1} == {}
    by_key = {"kinds", "measures", "probes"}
    assert {name: where for name, where in modules.items() if len(where) > 1 and not set(where) <= by_key} == {}


def test_no_module_is_long() -> None:
    lengths = {path.relative_to(PACKAGE): path.read_text().count("\n") for path in PACKAGE.rglob("*.py")}
    assert max(lengths.values()) <= 350
    assert len(list(PACKAGE.glob("*.py"))) <= 8
