"""`show --html`: a report as a file, from a folder and from a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_cli import Run, _own_environment, on, small, train, yards

__all__ = ["_own_environment", "on", "small", "yards"]

pytestmark = pytest.mark.filterwarnings("default")  # Streamlit's own


def test_a_report_is_written_in_either_language(on: Run, small: Path, tmp_path: Path) -> None:
    train(on, small, "--name", "sent")
    for language, words in (("en", "Confusion matrix"), ("ru", "Матрица ошибок")):
        path = tmp_path / f"{language}.html"
        said = on("show", "sent", "--html", path, "--language", language)
        assert said.exit_code == 0, said.err
        assert said.err == ""
        text = path.read_text(encoding="utf-8")
        assert words in text
        assert f'lang="{language}"' in text
    refused = on("show", "sent", "--html", tmp_path / "de.html", "--language", "de")
    assert refused.exit_code == 2
    assert "--language must be en or ru, got 'de'" in refused.err
    assert not (tmp_path / "de.html").exists()
