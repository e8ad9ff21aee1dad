"""Imports go down the floors of docs/design.md, never up."""

import ast
from pathlib import Path

import pytest

import fastlr

ROOT = Path(fastlr.__file__).parent
FLOORS = [
    {"_kernels"},
    {"callbacks", "terminal", "crew", "typing"},
    {"validate", "data", "blas", "npz", "atomic", "memory", "checkpoint", "_version"},
    {"losses", "penalties"},
    {"problem", "certificate", "screening", "blocks"},
    {"solvers", "minibatch", "stopping", "progress"},
    {"peers", "base", "stochastic", "linear_model", "neural_network"},
    {"dask", "plots", "metrics", "model_selection", "persistence", "__init__"},
    {"cli", "__main__"},
]
HEIGHT = {name: height for height, names in enumerate(FLOORS) for name in names}
SIDE_DOORS = {"datasets": {"npz", "typing"}, "readers": {"datasets", "npz", "typing", "validate"}}


def imported(path):
    """The rooms of fastlr that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "fastlr":
            parts = node.module.split(".")
            names = [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
            yield from (name if (name in HEIGHT or name in SIDE_DOORS) else "__init__" for name in names)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("fastlr."):
                    yield alias.name.split(".")[1]


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path):
    relative = path.relative_to(ROOT)
    room = relative.parts[0].removesuffix(".py")
    for other in imported(path):
        if room in SIDE_DOORS:
            assert other in SIDE_DOORS[room] | {room}
        elif other in SIDE_DOORS:
            assert HEIGHT[room] >= HEIGHT["cli"]
        else:
            assert HEIGHT[other] <= HEIGHT[room], f"{relative} imports {other} from a higher floor"


def test_every_room_has_a_floor():
    rooms = {path.name.removesuffix(".py") for path in ROOT.iterdir() if path.name[0] != "."}
    rooms = {room for room in rooms if (ROOT / room).is_dir() or (ROOT / f"{room}.py").exists()}
    assert rooms - {"__pycache__"} == set(HEIGHT) | set(SIDE_DOORS)
