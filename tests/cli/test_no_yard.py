"""A mistyped folder: commands that make no yard say that there is none, and leave everything as it was."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest
import typer

from modelyard.bootstrap import build
from modelyard.cli.app import app
from modelyard.errors import DataLoss, NoYard
from modelyard.settings import Settings
from modelyard.storage import ModelRecord
from modelyard.storage.folder import Folder
from tests.command_line import run
from tests.storage_drafts import add_model, new_model, open_store

MAKING = {"train", "search", "up", "rest", "grpc", "backup load", "keys create", "migrate"}
WITHOUT_A_YARD = {"check", "dashboard", "health", "model-classes", "keys generate", "ray-head"}
READING = {
    "retrain": ("churn", "table.csv"),
    "predict": ("churn", "table.csv"),
    "explain": ("churn", "table.csv"),
    "evaluate": ("churn", "table.csv"),
    "evaluations": ("churn",),
    "drift": ("churn",),
    "keep-answers": ("churn", "on"),
    "outcomes": ("churn", "table.csv"),
    "performance": ("churn",),
    "list": (),
    "names": (),
    "show": ("churn",),
    "edit": ("churn", "--no-tags"),
    "delete": ("churn",),
    "restore": ("churn",),
    "download": ("churn", "model.pkl"),
    "history": ("churn",),
    "decision set": ("churn", "--share", "0.1"),
    "decision show": ("churn",),
    "alias set": ("churn", "live", "1"),
    "alias rm": ("churn", "live"),
    "alias list": ("churn",),
    "alias history": ("churn", "live"),
    "alias default": (),
    "keys list": (),
    "keys revoke": ("crm",),
    "keys rotate": ("crm",),
    "whoami": (),
    "sign": ("--all",),
    "jobs list": (),
    "jobs show": ("0190a000-0000-7000-8000-000000000000",),
    "jobs watch": ("0190a000-0000-7000-8000-000000000000",),
    "jobs cancel": ("0190a000-0000-7000-8000-000000000000",),
    "audit verify": (),
    "audit sign": (),
    "doctor": (),
    "gc": ("--dry-run",),
    "backup create": ("yard.tar",),
    "tracking status": (),
    "tracking flush": (),
    "tracking retry": (),
}
"""What a command line needs behind the commands that make no yard."""


def files_below(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def nothing(_path: Path) -> None:
    """Leave the path without anything, and so its parent."""


def a_file(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("x,y\n")


def below_a_file(path: Path) -> None:
    path.parent.write_text("x,y\n")


def an_empty_folder(path: Path) -> None:
    path.mkdir(parents=True)


def somebodys_photos(path: Path) -> None:
    (path / "artifacts").mkdir(parents=True)
    (path / "artifacts" / "sunset.jpg").write_bytes(b"\xff\xd8")


NO_YARDS = [nothing, a_file, below_a_file, an_empty_folder, somebodys_photos]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "table.csv").write_text("x,y\n1,a\n2,b\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODELYARD_TRACKING", "clearml")
    return tmp_path


def commands(group: typer.core.TyperGroup, before: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, typer.core.TyperGroup):
            yield from commands(command, f"{before}{name} ")
        else:
            yield before + name


def test_every_command_either_makes_a_yard_or_needs_one_or_none() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    assert sorted(commands(group)) == sorted([*READING, *MAKING, *WITHOUT_A_YARD])


@pytest.mark.parametrize("command", READING)
def test_a_command_that_makes_no_yard_says_that_there_is_none(
    here: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = here / "signing_key"
    key.write_text("k" * 44 + "\n")
    key.chmod(0o600)
    monkeypatch.setenv("MODELYARD_SIGNING_KEY_FILE", str(key))
    before = files_below(here)
    result = run(*command.split(), *READING[command], "--storage", "nested/yard", "--json")
    problem = orjson.loads(result.stderr)
    assert (result.exit_code, problem["code"], result.stdout) == (2, "INVALID_ARGUMENT", "")
    assert f"no yard at {here}/nested/yard: it does not exist" in problem["detail"]
    assert files_below(here) == before


@pytest.mark.parametrize("make", NO_YARDS)
@pytest.mark.parametrize("command", [("list",), ("doctor",), ("doctor", "--repair"), ("gc",)])
def test_whatever_stands_there_stays_as_it_is(
    here: Path, make: Callable[[Path], None], command: tuple[str, ...]
) -> None:
    make(here / "nested" / "yard")
    before = files_below(here)
    result = run(*command, "--storage", "nested/yard")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: there is no yard at ")
    assert "`modelyard train`" in " ".join(result.stderr.split())
    assert files_below(here) == before


def test_the_algorithms_are_listed_without_a_yard(here: Path) -> None:
    before = files_below(here)
    result = run("model-classes", "--json")
    assert (result.exit_code, "catboost_classifier" in result.stdout) == (0, True)
    assert files_below(here) == before


def test_training_makes_the_yard(here: Path) -> None:
    (here / "many.csv").write_text("x,y\n" + "1,a\n2,b\n" * 20)
    options = ("--target", "y", "--model-class", "logistic_regression", "--evaluation", "none", "--name", "churn")
    assert run("train", "many.csv", *options, "--storage", "nested/yard").exit_code == 0
    listed = run("list", "--storage", "nested/yard", "--json")
    assert [model["name"] for model in orjson.loads(listed.stdout)["models"]] == ["churn"]


@pytest.mark.parametrize("make", [nothing, an_empty_folder, somebodys_photos])
@pytest.mark.parametrize("wrong", [("--target", "nobody"), ("--target", "y", "-p", "C=-1")])
def test_a_first_training_that_is_refused_leaves_no_yard(
    here: Path, make: Callable[[Path], None], wrong: tuple[str, ...]
) -> None:
    (here / "many.csv").write_text("x,y\n" + "1,a\n2,b\n" * 20)
    make(here / "nested" / "yard")
    before = files_below(here)
    result = run("train", "many.csv", *wrong, "--model-class", "logistic_regression", "--storage", "nested/yard")
    assert result.exit_code == 2
    assert files_below(here) == before


def test_a_later_training_that_is_refused_leaves_the_yard(here: Path) -> None:
    (here / "many.csv").write_text("x,y\n" + "1,a\n2,b\n" * 20)
    build(Settings(storage_dir=here / "yard")).close()
    before = files_below(here)
    options = ("--target", "nobody", "--model-class", "logistic_regression", "--storage", "yard")
    assert run("train", "many.csv", *options).exit_code == 2
    assert files_below(here) == before


def test_a_yard_in_which_something_was_kept_is_not_removed(here: Path) -> None:
    store = open_store(here / "yard")
    add_model(store, new_model(name="churn"))
    store.close()
    before = files_below(here)
    assert not Folder(here / "yard").remove_unused()
    assert not Folder(here).remove_unused()
    assert files_below(here) == before


@pytest.fixture
def lost(here: Path) -> ModelRecord:
    """A model in a yard whose database is gone."""
    store = open_store(here / "yard")
    record = add_model(store, new_model(name="churn"))
    store.close()
    (here / "yard" / "db.jsonl").unlink()
    return record


@pytest.mark.parametrize("command", ["list", "gc", "gc --dry-run", "gc --orphans", "backup create yard.tar"])
def test_models_that_lost_their_database_are_no_empty_yard(here: Path, lost: ModelRecord, command: str) -> None:
    before = files_below(here)
    result = run(*command.split(), "--storage", "yard")
    assert (result.exit_code, "db.jsonl is gone" in " ".join(result.stderr.split())) == (6, True)
    assert files_below(here) == before


def test_doctor_brings_back_models_that_lost_their_database(here: Path, lost: ModelRecord) -> None:
    assert run("doctor", "--storage", "yard").exit_code == 6
    assert run("doctor", "--repair", "--storage", "yard").exit_code == 0
    listed = run("list", "--status", "deleted", "--storage", "yard", "--json")
    assert [model["model_id"] for model in orjson.loads(listed.stdout)["models"]] == [lost.metadata.model_id]


def test_python_chooses_whether_the_core_makes_a_yard(here: Path) -> None:
    settings = Settings(storage_dir=here / "yard")
    with pytest.raises(NoYard, match="it does not exist"):
        build(settings, make=False)
    assert not (here / "yard").exists()
    build(settings).close()
    build(settings, make=False).close()
    (here / "yard" / "db.jsonl").unlink()
    with pytest.raises(NoYard, match="the folder holds none"):
        build(settings, make=False)


def test_models_without_their_database_stop_the_core_either_way(here: Path, lost: ModelRecord) -> None:
    for make in (True, False):
        with pytest.raises(DataLoss, match=r"db\.jsonl is gone"):
            build(Settings(storage_dir=here / "yard"), make=make)
    shutil.rmtree(here / "yard" / "artifacts" / lost.metadata.model_id)
    build(Settings(storage_dir=here / "yard")).close()


def test_a_folder_that_cannot_be_read_is_not_taken_for_none(here: Path) -> None:
    (here / "circle").symlink_to("circle")
    result = run("list", "--storage", "circle/yard")
    assert (result.exit_code, "Too many levels" in " ".join(result.stderr.split())) == (5, True)


def test_a_tilde_stands_for_the_home_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_store(here / "home" / "yard").close()
    monkeypatch.setenv("HOME", str(here / "home"))
    assert run("list", "--storage", "~/yard").exit_code == 0
    monkeypatch.setenv("MODELYARD_STORAGE_DIR", "~/yard")
    assert run("list").exit_code == 0
    result = run("list", "--storage", "~nobody-of-that-name/yard")
    assert (result.exit_code, "no home folder to stand for '~nobody-of-that-name'" in result.stderr) == (2, True)
    assert not list(here.glob("~*"))


def test_what_is_empty_counts_as_not_set(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.setenv(f"MODELYARD_{name.upper()}", "")
    monkeypatch.setenv("MODELYARD_URL", "")
    assert Settings() == Settings.model_construct()
    open_store(here / "models_storage").close()
    assert run("list", "--storage", "", "--url", "").stdout == "There are no models.\n"
    monkeypatch.setenv("MODELYARD_MISSING_MARKERS", ",")
    assert Settings().missing_markers == ("",)
