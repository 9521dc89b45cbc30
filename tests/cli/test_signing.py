"""`modelyard sign`: what it shows, whom it asks, and what `doctor` says before and after."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import orjson
import pytest
import typer
from typer.testing import Result

from modelyard.storage import ModelRecord
from tests import command_line
from tests.storage_drafts import add_model, new_model, open_store


@pytest.fixture(autouse=True)
def key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "keys"
    file.write_text("k" * 44 + "\n")
    monkeypatch.setenv("MODELYARD_SIGNING_KEY_FILE", str(file))
    return file


@pytest.fixture
def record(storage_dir: Path) -> ModelRecord:
    with closing(open_store(storage_dir)) as store:
        add_model(store, new_model(name="other"))
        return add_model(store, new_model(name="churn"))


def run(storage_dir: Path, *arguments: str) -> Result:
    return command_line.run(*arguments, "--storage", storage_dir)


def unsigned(storage_dir: Path) -> int:
    """Return how many models the doctor finds unsigned, or signed by no key that is there."""
    found = orjson.loads(run(storage_dir, "doctor", "--json").stdout)["findings"]
    return sum(finding["kind"] == "signature" and finding["model_id"] is not None for finding in found)


def test_what_would_be_signed_is_shown_and_nobody_who_can_be_asked_is_an_error(
    storage_dir: Path, record: ModelRecord
) -> None:
    result = run(storage_dir, "sign", "churn")
    assert result.exit_code == 2
    assert "say --yes" in result.stderr
    model = record.metadata
    for shown in (model.model_id, "churn:1", f"{model.created_at:%Y-%m-%d %H:%M}", model.artifact.sha256, "not signed"):
        assert shown in result.stdout
    told = run(storage_dir, "doctor")
    assert told.exit_code == 6
    assert "`modelyard sign` signs models" in told.stdout


@pytest.mark.parametrize("agreed", [False, True])
def test_a_person_is_asked(
    agreed: bool, storage_dir: Path, record: ModelRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answer(question: str, *, err: bool) -> bool:
        assert err
        asked.append(question)
        return agreed

    monkeypatch.setattr("modelyard.cli.signing._can_ask", lambda: True)
    monkeypatch.setattr(typer, "confirm", answer)
    result = run(storage_dir, "sign", "--all")
    assert asked == ["Sign 2 models?"]
    assert ("Signed 2 models." in result.stdout) == agreed
    assert result.exit_code == (0 if agreed else 8)
    assert unsigned(storage_dir) == (0 if agreed else 2)


def test_a_script_says_yes_and_reads_what_was_signed(storage_dir: Path, record: ModelRecord) -> None:
    result = run(storage_dir, "sign", "churn", "--yes", "--json")
    model = record.metadata
    assert orjson.loads(result.stdout) == {
        "signed": [
            {
                "model_id": model.model_id,
                "model": "churn:1",
                "created_at": model.created_at.isoformat(),
                "sha256": model.artifact.sha256,
                "why": "is not signed",
            }
        ]
    }
    assert run(storage_dir, "sign", "churn").stdout.startswith("There is nothing to sign")


def test_the_first_key_renews_what_another_one_has_signed(
    storage_dir: Path, record: ModelRecord, key_file: Path
) -> None:
    assert run(storage_dir, "sign", "--all", "--yes").exit_code == 0
    old = key_file.read_text()
    key_file.write_text("n" * 44)
    assert unsigned(storage_dir) == 2
    key_file.write_text("n" * 44 + "\n" + old)
    assert unsigned(storage_dir) == 0
    assert run(storage_dir, "sign", "--all", "--yes").stdout.count("is signed by an older key") == 2
    key_file.write_text("n" * 44)
    assert unsigned(storage_dir) == 0
    assert run(storage_dir, "audit", "sign").exit_code == 0
    assert run(storage_dir, "doctor").exit_code == 0


@pytest.mark.parametrize("arguments", [(), ("churn", "--all")])
def test_either_some_or_all_are_signed(arguments: tuple[str, ...], storage_dir: Path, record: ModelRecord) -> None:
    result = run(storage_dir, "sign", *arguments, "--yes")
    assert result.exit_code == 2
    assert "name the models to sign, or say --all" in result.stderr


def test_without_a_good_key_the_command_says_what_is_missing(
    storage_dir: Path, record: ModelRecord, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_file.write_text("short")
    for command in (("sign", "--all", "--yes"), ("doctor",), ("list",)):
        result = run(storage_dir, *command)
        assert result.exit_code == 2
        assert "line 1" in result.stderr
    monkeypatch.delenv("MODELYARD_SIGNING_KEY_FILE")
    result = run(storage_dir, "sign", "--all", "--yes")
    assert result.exit_code == 2
    assert "MODELYARD_SIGNING_KEY_FILE is not set" in result.stderr
