"""docs/security.md gives each role what the servers give it, and names only tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from modelyard.access.permissions import NEEDED
from modelyard.schemas import ROLES

ROOT = Path(__file__).resolve().parents[2]
SECURITY = (ROOT / "docs" / "security.md").read_text()
TESTS = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))


def verbs_of(row: str) -> set[str]:
    """Return the verbs that the table names in the row of a role."""
    (cell,) = re.findall(rf"^\| {re.escape(row)} \| (.*) \|$", SECURITY, re.MULTILINE)
    return set(re.findall(r"`(\w+)`", cell))


@pytest.mark.parametrize("role", [None, *ROLES])
def test_the_table_of_roles_is_the_one_that_decides(role: str | None) -> None:
    row = "no key" if role is None else f"`{role}`"
    assert verbs_of(row) == {verb for verb, needed in NEEDED.items() if needed == role}


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(tests/[\w/.]+)`", SECURITY))))
def test_a_file_of_tests_that_is_named_is_there(name: str) -> None:
    assert (ROOT / name).is_file()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(test_\w+)`", SECURITY))))
def test_a_test_that_is_named_is_there(name: str) -> None:
    assert f"def {name}(" in TESTS
