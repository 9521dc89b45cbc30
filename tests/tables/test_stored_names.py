"""Names that files are stored under: the sender chooses them, so they must not lead elsewhere."""

from __future__ import annotations

import pytest

from modelyard.tables import stored_name


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("people of may.csv", "people of may.csv"),
        ("C:\\tables\\May.CSV", "May.CSV"),
        ("../../etc/passwd", "passwd"),
        ("..", "upload"),
        ("", "upload"),
        ("a<b>\0.csv", "a_b__.csv"),
        ("\U0001d431" * 90 + ".csv", "\U0001d431" * 59 + ".csv"),
        ("\ud800.csv", "_.csv"),
    ],
)
def test_a_file_is_stored_under_a_name_that_cannot_lead_elsewhere(given: str, stored: str) -> None:
    assert stored_name(given) == stored
