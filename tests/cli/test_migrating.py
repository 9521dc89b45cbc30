"""`migrate`, and backups on servers: what a person types, and what is wrong with it in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import Result

from tests import command_line
from tests.postgres_server import PostgresServer
from tests.s3_server import S3Server
from tests.storage_drafts import add_model, new_model, open_store


def run(*arguments: object) -> Result:
    return command_line.run(*arguments)


def said(result: Result) -> str:
    return " ".join(result.stderr.replace("\n", " ").split())


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODELYARD_STORAGE_DIR", str(tmp_path / "host"))
    return tmp_path


@pytest.fixture
def yard(here: Path) -> Path:
    store = open_store(here / "yard")
    add_model(store, new_model(name="churn"))
    store.close()
    return here / "yard"


@pytest.fixture
def place(postgres: PostgresServer, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """Servers on which there is no yard, with a password in their URL."""
    bucket = s3.new_bucket()
    monkeypatch.setenv("MODELYARD_S3_ENDPOINT", bucket["s3_endpoint"])
    return f"{postgres.new_yard().replace('modelyard@', 'modelyard:secret@')},{bucket['artifacts_url']}"


def test_a_yard_goes_from_folder_to_servers_to_an_archive_to_a_folder(yard: Path, here: Path, place: str) -> None:
    moved = run("migrate", yard, place)
    assert (moved.exit_code, "Moved 1 models" in moved.stdout, "secret" in moved.output) == (0, True, False)
    assert run("migrate", place, "yard.tar.gz").exit_code == 0
    back = run("migrate", "yard.tar.gz", "back", "--json")
    assert orjson.loads(back.stdout)["models"] == 1
    assert run("show", "churn", "--storage", "back").exit_code == 0
    assert "nothing is changed here any more" in said(run("delete", "churn", "--storage", "yard"))


WRONG = [
    (("nothing", "new"), 2, "there is no yard at"),
    (("nothing.tar", "new"), 2, "nothing.tar is not a file"),
    (("yard", "yard"), 2, "FROM and TO are one place"),
    (("yard", "./yard/"), 2, "FROM and TO are one place"),
    (("yard", "yard/new"), 2, "yard/new is inside yard"),
    (("yard", "yard/new.tar"), 2, "yard/new.tar is inside yard"),
    (("yard", "photos"), 4, "photos is not empty (it holds holiday.jpg)"),
    (("yard", "there.tar"), 4, "there.tar exists"),
    (("yard", "nowhere/new.tar"), 5, "cannot write nowhere/new.tar"),
    (("there.tar", "new"), 6, "cannot be read as a tar archive"),
    (("yard", "mysql://x/y"), 2, "mysql:// is no yard"),
    (("yard", "postgresql://u:secret@[::1/x"), 2, "the database's URL cannot be read"),
    (("yard", "postgresql://u:sec%ret@h/x"), 2, "the database's URL cannot be read"),
    (("yard", "postgresql://u:secret@localhost:1/x"), 5, "the database cannot be used"),
    (("yard", "postgresql://u:secret@localhost/x,s3://"), 2, "s3://bucket"),
    (("postgresql://u:secret@localhost:1/x", "new"), 5, "the database cannot be used"),
]


@pytest.mark.parametrize(("places", "code", "words"), WRONG, ids=[" ".join(wrong[0]) for wrong in WRONG])
def test_what_cannot_be_moved_is_said_and_makes_nothing(
    yard: Path, here: Path, places: tuple[str, str], code: int, words: str
) -> None:
    (here / "photos").mkdir()
    (here / "photos" / "holiday.jpg").touch()
    (here / "there.tar").write_text("hello " * 200)
    before = sorted(here.rglob("*"))
    refused = run("migrate", *places)
    assert (refused.exit_code, words in said(refused)) == (code, True), said(refused)
    assert "secret" not in refused.output
    assert sorted(here.rglob("*")) == before
    assert run("delete", "churn", "--storage", "yard").exit_code == 0  # it takes changes


def test_a_package_that_is_missing_is_named(yard: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard.bootstrap.find_spec", lambda name: None)
    refused = run("migrate", yard, "postgresql://u@h/x")
    assert (refused.exit_code, "install modelyard[postgres]" in said(refused)) == (4, True)


def test_an_archive_that_was_cut_short_is_refused(yard: Path, here: Path, place: str) -> None:
    assert run("backup", "create", "yard.tar", "--storage", "yard").exit_code == 0
    content = (here / "yard.tar").read_bytes()
    for size in (content.rindex(b"db.jsonl") - 600, content.rindex(b"db.jsonl") + 1000):
        (here / "cut.tar").write_bytes(content[:size])
        for target in ("new", place):
            refused = run("migrate", "cut.tar", target)
            assert (refused.exit_code, "cut.tar is damaged" in said(refused)) == (6, True), said(refused)
    assert not (here / "new").exists()


@pytest.fixture
def on_servers(yard: Path, here: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A yard on the servers that the settings name."""
    assert run("migrate", yard, place).exit_code == 0
    database, _, bucket = place.partition(",s3://")
    monkeypatch.setenv("MODELYARD_DATABASE_URL", database)
    monkeypatch.setenv("MODELYARD_ARTIFACTS_URL", f"s3://{bucket}")
    return here


def document(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return orjson.loads(result.stdout)


def test_servers_are_looked_after_by_the_commands_of_a_folder(
    on_servers: Path, postgres: PostgresServer, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = document(run("keys", "create", "anna", "--role", "admin", "--json"))
    assert [key["name"] for key in document(run("keys", "list", "--json"))["keys"]] == ["anna"], made
    (on_servers / "key").write_text("k" * 44)
    monkeypatch.setenv("MODELYARD_SIGNING_KEY_FILE", str(on_servers / "key"))
    assert run("doctor").exit_code == 6  # not signed
    assert run("backup", "create", "unsigned.tar").exit_code == 0
    assert run("migrate", "unsigned.tar", "unsigned").exit_code == 0  # to be signed there
    assert len(document(run("sign", "--all", "--yes", "--json"))["signed"]) == 1
    assert run("audit", "sign").exit_code == 0
    assert run("audit", "verify").exit_code == 0
    assert run("doctor").exit_code == 0, run("doctor").output
    assert run("backup", "create", "yard.tar.gz").exit_code == 0
    refused = run("backup", "load", "yard.tar.gz")
    assert (refused.exit_code, "is not empty" in said(refused), "secret" in refused.output) == (4, True, False)
    monkeypatch.setenv("MODELYARD_DATABASE_URL", postgres.new_yard())
    monkeypatch.setenv("MODELYARD_ARTIFACTS_URL", s3.new_bucket()["artifacts_url"])
    assert "Loaded 1 model from yard.tar.gz into postgresql://" in run("backup", "load", "yard.tar.gz").output
    assert run("doctor").exit_code == 0
    assert run("whoami").exit_code == 0
