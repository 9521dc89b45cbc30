"""Where pickles are read: in one module, behind all checks."""

from __future__ import annotations

import ast
from pathlib import Path

import modelyard

PICKLES = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
READS = "storage/artifacts/estimators.py"
WRITES = "models_registry/predictors.py"
"""It measures estimators by the length of their pickles."""


def imported(tree: ast.AST) -> set[str]:
    """Return the modules that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


def test_one_module_unpickles() -> None:
    root = Path(modelyard.__file__).parent
    trees = {str(path.relative_to(root)): ast.parse(path.read_bytes()) for path in root.rglob("*.py")}
    assert {name for name, tree in trees.items() if imported(tree) & PICKLES} == {READS, WRITES}
    used = {
        node.attr
        for node in ast.walk(trees[WRITES])
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "pickle"
    }
    assert used == {"dump", "HIGHEST_PROTOCOL"}
