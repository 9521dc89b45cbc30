"""The command line's verbs: on a folder and on a server, for people and for programs."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from modelyard.cli import exits, screen
from modelyard.cli.files import write_whole
from modelyard.cli.texts import pairs, typed
from modelyard.errors import FieldError, InvalidRequest, ModelyardError, NoYard
from modelyard.ml_core.yard import Yard
from modelyard.models_registry import describe, model_classes
from tests import command_line, doors


@dataclass(frozen=True, slots=True)
class Answer:
    exit_code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on standard output; fails where there is more or less."""
        return json.loads(self.out)


Run = Callable[..., Answer]


def run(*arguments: object) -> Answer:
    result = command_line.run(*arguments)
    return Answer(result.exit_code, result.stdout, result.stderr)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("MODELYARD_URL", "MODELYARD_STORAGE_DIR", "MODELYARD_LOG_LEVEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def yards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[str, ...]]]:
    """The options that lead to a folder, and to a server on another."""
    folder = tmp_path_factory.mktemp("yards")
    with doors.core(folder / "local"):
        pass  # a test that runs alone finds a yard, too
    with doors.rest_thread(folder / "served") as url:
        yield {"folder": ("--storage", str(folder / "local")), "server": ("--url", url)}


@pytest.fixture(params=["folder", "server"])
def on(request: pytest.FixtureRequest, yards: dict[str, tuple[str, ...]]) -> Run:
    """Run a command on a folder, then on a server."""
    where = yards[request.param]
    return lambda *arguments: run(*arguments, *where)


@pytest.fixture
def here(yards: dict[str, tuple[str, ...]]) -> Run:
    """Run a command on a folder."""
    return lambda *arguments: run(*arguments, *yards["folder"])


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve rows to learn from: quick to train on."""
    path = tmp_path_factory.mktemp("tables") / "small.csv"
    rows = [f"{n},{'ab'[n % 2]},{'yes' if n > 6 else 'no'}" for n in range(1, 13)]
    path.write_text("\n".join(["size,kind,bought", *rows]) + "\n")
    return path


LOGISTIC = ("--target", "bought", "--model-class", "logistic_regression")


def train(command: Run, table: Path, *more: object) -> dict[str, Any]:
    answer = command("train", table, *LOGISTIC, *more, "--json")
    assert answer.exit_code == 0, answer.err
    document: dict[str, Any] = answer.document
    return document


def test_a_model_lives_and_ends_by_commands(on: Run, small: Path) -> None:
    first = train(on, small, "--name", "life", "--tag", "demo", "-p", "C=0.5", "-p", "max_iter=200", "--seed", 3)
    assert (first["name"], first["version"], first["tags"]) == ("life", 1, ["demo"])
    assert (first["hyperparams"]["C"], first["hyperparams"]["max_iter"]) == (0.5, 200)
    assert first["evaluation"]["seed"] == 3

    second = on("retrain", "life", small, "-p", "C=2", "--evaluation", "none", "--json").document
    assert (second["version"], second["parent_id"]) == (2, first["model_id"])
    assert (second["hyperparams"]["C"], second["hyperparams"]["max_iter"]) == (2.0, 200)
    assert second["tags"] == ["demo"]

    shown = on("show", "life:1", "--json").document
    assert shown["model_id"] == first["model_id"]
    assert {"metrics", "confusion_matrix", "rows"} <= on("show", "life:1", "--report", "--json").document.keys()

    assert on("delete", "life:2", "--json").document["status"] == "deleted"
    assert [found["version"] for found in on("list", "--name", "life", "--json").document["models"]] == [1]
    deleted = on("list", "--name", "life", "--status", "deleted", "--json").document["models"]
    assert [found["version"] for found in deleted] == [2]
    assert on("restore", "life:2", "--json").document["status"] == "active"

    refused = on("delete", "life:2", "--hard")
    assert refused.exit_code == 2
    assert "--yes" in refused.err
    assert on("show", "life:2").exit_code == 0
    gone = on("delete", "life:2", "--hard", "--yes", "--json")
    assert gone.document == {"reference": "life:2", "status": "gone"}
    assert on("show", "life:2").exit_code == 3


def test_every_output_of_predictions_says_the_same(on: Run, small: Path, tmp_path: Path) -> None:
    model = train(on, small, "--name", "outputs")
    ask = ("predict", model["model_id"], small, "--probabilities")
    document = on(*ask, "--json").document
    assert document["classes"] == ["no", "yes"]
    assert len(document["predictions"]) == len(document["probabilities"]) == 12
    assert [warning["code"] for warning in document["warnings"]]

    piped = on(*ask)
    assert piped.out == on(*ask, "--output", "-").out
    assert "Warning: " in piped.err
    for name in ("out.csv", "out.json", "out.parquet"):
        assert on(*ask, "--output", tmp_path / name).exit_code == 0
    frame = pl.read_parquet(tmp_path / "out.parquet")
    assert frame.columns == ["prediction", "probability_no", "probability_yes"]
    assert frame["prediction"].to_list() == document["predictions"]
    assert (tmp_path / "out.csv").read_text() == piped.out
    assert json.loads((tmp_path / "out.json").read_text()) == document

    said = on(*ask, "--output", tmp_path / "out.csv", "--json").document
    assert (said["rows"], said["output"]) == (12, str(tmp_path / "out.csv"))


def test_people_read_tables_without_control_codes(on: Run, small: Path) -> None:
    trained = on("train", small, *LOGISTIC, "--name", "shown")
    shown = on("show", "shown", "--report")
    listed = on("list", "--name", "shown")
    for answer in (trained, shown, listed, on("model-classes"), on("predict", "shown", small)):
        assert answer.exit_code == 0, answer.err
        assert "\x1b" not in answer.out + answer.err
        assert not any(line.endswith(" ") for line in answer.out.splitlines())
    model = on("show", "shown", "--json").document
    assert model["model_id"] in trained.out
    assert model["model_id"] in shown.out
    assert model["model_id"] in listed.out
    assert shown.out.index("accuracy") < shown.out.index("roc auc")
    assert "Confusion matrix" in shown.out
    assert "logistic_regression" in listed.out


def test_a_list_goes_on_page_by_page(on: Run, small: Path) -> None:
    for _ in range(3):
        train(on, small, "--name", "paged", "--tag", "paged")
    first = on("list", "--tag", "paged", "--limit", 2, "--json").document
    rest = on("list", "--tag", "paged", "--limit", 2, "--cursor", first["next_cursor"], "--json").document
    every = on("list", "--tag", "paged", "--limit", 2, "--all", "--json").document
    assert [model["version"] for model in first["models"] + rest["models"]] == [3, 2, 1]
    assert every == {"models": first["models"] + rest["models"], "next_cursor": None}
    assert first["next_cursor"] in on("list", "--tag", "paged", "--limit", 2).out
    assert on("list", "--tag", "no such tag").out == "There are no models.\n"


def test_an_artifact_is_downloaded_whole(on: Run, small: Path, tmp_path: Path) -> None:
    model = train(on, small, "--name", "artifact")
    said = on("download", "artifact", tmp_path / "model.pkl", "--json").document
    content = (tmp_path / "model.pkl").read_bytes()
    assert hashlib.sha256(content).hexdigest() == said["sha256"] == model["artifact"]["sha256"]
    assert len(content) == said["bytes"]


def test_one_idempotency_key_trains_once(on: Run, small: Path) -> None:
    first = train(on, small, "--name", "once", "--idempotency-key", "k1")
    again = train(on, small, "--name", "once", "--idempotency-key", "k1")
    assert again["model_id"] == first["model_id"]
    other = on("train", small, *LOGISTIC, "--name", "other", "--idempotency-key", "k1")
    assert (other.exit_code, "k1" in other.err) == (4, True)


def test_jobs_are_listed_shown_and_watched(on: Run, small: Path) -> None:
    model = train(on, small, "--name", "by-a-job")
    (job,) = on("jobs", "list", "--limit", 1, "--json").document["jobs"]
    assert (job["status"], job["model_id"], job["name"]) == ("succeeded", model["model_id"], "by-a-job")
    assert on("jobs", "show", job["job_id"], "--json").document == job
    assert on("jobs", "watch", job["job_id"], "--json").document == job
    for said in (on("jobs", "show", job["job_id"]).out, on("jobs", "list").out):
        assert job["job_id"] in said
        assert "succeeded" in said
    too_late = on("jobs", "cancel", job["job_id"])
    assert (too_late.exit_code, "succeeded already" in too_late.err) == (4, True)
    assert on("jobs", "show", "nobody").exit_code == 3


def test_a_feature_type_can_be_declared(on: Run, small: Path) -> None:
    model = train(on, small, "--name", "declared", "--feature-type", "size=categorical")
    assert model["feature_types"] == {"size": "categorical", "kind": "categorical"}


def test_folds_alone_mean_cross_validation(here: Run, small: Path) -> None:
    model = train(here, small, "--name", "folds", "--folds", 3)
    assert (model["evaluation"]["method"], model["evaluation"]["folds"]) == ("cv", 3)
    assert "± std" in here("show", "folds").out
    assert here("train", small, *LOGISTIC, "--folds", 3, "--evaluation", "holdout").exit_code == 2


def test_one_feature_is_counted_as_one(here: Run, tmp_path: Path) -> None:
    table = tmp_path / "one.csv"
    table.write_text("size,bought\n1,no\n2,yes\n3,no\n4,yes\n")
    assert "4 rows, 1 feature (1 numeric, 0 categorical)" in here("train", table, *LOGISTIC).out


def test_a_column_of_dates_is_counted_as_datetime(here: Run, tmp_path: Path) -> None:
    table = tmp_path / "dates.csv"
    table.write_text("when,bought\n2024-01-05,no\n2024-02-05 10:00,yes\n2024-01-06,no\n2024-03-05,yes\n")
    assert "4 rows, 1 feature (0 numeric, 0 categorical, 1 datetime)" in here("train", table, *LOGISTIC).out


def test_model_classes_show_every_hyperparam(on: Run) -> None:
    infos = on("model-classes", "--json").document
    assert {"logistic_regression", "catboost_classifier"} <= {info["key"] for info in infos}
    for info in infos:
        table = on("model-classes", info["key"]).out
        assert all(name in table for name in info["hyperparams"]["properties"])
        assert re.search(r"\d{17}", table) is None, "a bound of so many digits is not readable"
    assert on("model-classes", "CatBoost-Classifier", "--json").document["key"] == "catboost_classifier"
    unknown = on("model-classes", "catbost")
    assert unknown.exit_code == 3
    assert "did you mean 'catboost_regressor' or 'catboost_classifier'?" in unknown.err


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (["train", "{small}", *LOGISTIC, "-p", "C=-1"], 2, "'C' must be greater than 0, got -1"),
        (["train", "{small}", *LOGISTIC, "-p", "C=x"], 2, "'C' must be a finite number, got 'x'"),
        (["train", "{small}", *LOGISTIC, "-p", "c"], 2, "--param must be written name=value, got 'c'"),
        (["train", "{small}", *LOGISTIC, "-p", "C=1", "-p", "C=2"], 2, "gives 'C' twice"),
        (["train", "{small}", *LOGISTIC, "-p", "foo=1"], 2, "'foo' is unknown"),
        (["train", "{small}", *LOGISTIC, "--name", "a/b"], 2, "name 'a/b' must be"),
        (["train", "{small}", *LOGISTIC, "--evaluation", "magic"], 2, "'holdout', 'time', 'cv' or 'none'"),
        (["train", "{small}", *LOGISTIC, "--feature-type", "nix=numeric"], 2, "'nix'"),
        (["train", "{small}", "--target", "nix", "--model-class", "logistic_regression"], 2, "target 'nix'"),
        (["train", "{small}", "--target", "bought", "--model-class", "catbost", "-p", "depth=3"], 3, "did you mean"),
        (["train", "nix.csv", *LOGISTIC], 2, "nix.csv' cannot be read: No such file"),
        (["show", "nix"], 3, "'nix'"),
        (["predict", "nix", "{small}"], 3, "'nix'"),
        (["predict", "nix", "{small}", "--output", "out.xls"], 2, "must end in .csv, .json, .parquet"),
        (["predict", "nix", "{small}", "--output", "no/out.csv"], 2, "there is no folder 'no'"),
        (["predict", "nix", "{small}", "--output", "-", "--json"], 2, "both want standard output"),
        (["list", "--limit", "0"], 2, "must be at least 1, got 0"),
        (["list", "--cursor", "nix"], 2, "cursor"),
    ],
)
def test_bad_input_is_named_and_stores_nothing(
    on: Run, small: Path, arguments: list[str], exit_code: int, said: str
) -> None:
    before = on("list", "--all", "--json").document
    written = [argument.format(small=small) for argument in arguments]
    answer = on(*written)
    assert said in answer.err
    assert answer.exit_code == exit_code
    assert answer.out == ""
    problem = on(*written, *(["--json"] if "--json" not in written else []))
    assert problem.exit_code == exit_code
    assert said in json.loads(problem.err)["detail"]
    assert problem.out == ""
    assert on("list", "--all", "--json").document == before


def test_every_wrong_cell_is_listed_with_row_and_column(on: Run, tmp_path: Path) -> None:
    table = tmp_path / "wrong.csv"
    table.write_text("size,bought\n1,yes\nbig,no\n3,yes\nhuge,no\n5,yes\n6,no\n")
    answer = on("train", table, *LOGISTIC, "--feature-type", "size=numeric")
    assert answer.exit_code == 2
    for row, value in ((1, "big"), (3, "huge")):
        assert f"  - column 'size', row {row}: must be a number, got '{value}'" in answer.err
    problem = json.loads(on("train", table, *LOGISTIC, "--feature-type", "size=numeric", "--json").err)
    assert [wrong["loc"] for wrong in problem["errors"]] == [["X", 1, "size"], ["X", 3, "size"]]


def _every_error() -> list[type[ModelyardError]]:
    found, waiting = [], [ModelyardError]
    while waiting:
        kind = waiting.pop()
        found.append(kind)
        waiting += kind.__subclasses__()
    return sorted(set(found), key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", _every_error())
def test_every_error_ends_in_its_exit_code(
    here: Run, monkeypatch: pytest.MonkeyPatch, kind: type[ModelyardError]
) -> None:
    def fail(*_: object) -> None:
        raise kind("what went wrong", errors=[FieldError(("X", 3, "age"), "must be a number", "x")])

    monkeypatch.setattr(Yard, "list_models", fail)
    answer = here("list")
    assert answer.exit_code == exits.EXIT_CODES[kind.code] != 0
    hint = f"{exits.ANOTHER_FOLDER}\n" if kind is NoYard else ""
    assert answer.err == "Error: what went wrong\n  - row 3, column 'age': must be a number\n" + hint
    problem = json.loads(here("list", "--json").err)
    assert (problem["code"], problem["detail"]) == (kind.code, "what went wrong")
    assert problem["errors"][0]["loc"] == ["X", 3, "age"]


def test_every_code_word_has_an_exit_code_and_the_help_explains_it() -> None:
    assert {kind.code for kind in _every_error()} == exits.EXIT_CODES.keys()
    text = " ".join(run("--help").out.split())
    for code in set(exits.EXIT_CODES.values()):
        assert f" {code} " in text


def test_what_is_not_ours_is_a_fixed_text(here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(Yard, "list_models", fail)
    answer = here("list")
    assert answer.exit_code == 1
    assert "MODELYARD_LOG_LEVEL=DEBUG" in answer.err
    assert "secret" not in answer.err
    assert json.loads(here("list", "--json").err)["code"] == "INTERNAL"
    monkeypatch.setattr("modelyard.logs.configure", lambda *_: None)
    monkeypatch.setenv("MODELYARD_LOG_LEVEL", "DEBUG")
    assert "ZeroDivisionError: secret" in here("list").err


@pytest.mark.parametrize("arguments", [["lst"], ["list", "--limit", "x"], ["show"], ["train", "--json=1"], ["--nix"]])
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_wrong_usage_is_a_problem_document_with_json() -> None:
    problem = json.loads(run("show", "--json").err)
    assert problem["code"] == "INVALID_ARGUMENT"
    assert "REF" in problem["detail"]


def test_an_option_beats_the_environment(
    yards: dict[str, tuple[str, ...]], small: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MODELYARD_URL", yards["server"][1])
    monkeypatch.setenv("MODELYARD_STORAGE_DIR", str(tmp_path / "unused"))
    model = train(run, small, "--name", "by-environment")
    assert run("show", model["model_id"], *yards["server"]).exit_code == 0
    assert run("list", "--storage", tmp_path / "missing", "--json").exit_code == 2
    assert not (tmp_path / "unused").exists()
    both = run("list", *yards["server"], *yards["folder"])
    assert (both.exit_code, "exclude each other" in both.err) == (2, True)


def test_no_server_is_unavailable() -> None:
    answer = run("list", "--url", f"http://127.0.0.1:{doors.free_port()}")
    assert (answer.exit_code, "no server answers" in answer.err) == (5, True)
    answer = run("list", "--url", "localhost:8000")
    assert (answer.exit_code, "http://" in answer.err) == (2, True)


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_REST_PORT", "many")
    answer = run("list")
    assert answer.exit_code == 2
    assert "MODELYARD_REST_PORT" in answer.err


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("depth", "6", 6),
        ("depth", "6.5", 6.5),
        ("depth", "six", "six"),
        ("depth", "1_0", "1_0"),
        ("learning_rate", "1", 1.0),
        ("learning_rate", "3e-2", 0.03),
        ("learning_rate", "null", None),
        ("learning_rate", "inf", "inf"),
        ("verbose", "true", True),
        ("verbose", "10", 10),
        ("auto_class_weights", "Balanced", "Balanced"),
        ("auto_class_weights", "none", None),
        ("no_such_one", "7", "7"),
    ],
)
def test_hyperparams_are_read_by_their_schema(key: str, text: str, value: object) -> None:
    infos = [describe(one) for one in model_classes().values()]
    read = typed({key: text}, "catboostclassifier", infos)[key]
    assert (read, type(read)) == (value, type(value))


def test_a_choice_called_none_is_not_null() -> None:
    infos = [describe(one) for one in model_classes().values()]
    assert typed({"penalty": "none"}, "logistic_regression", infos) == {"penalty": "none"}


def test_names_may_hold_an_equals_sign_where_values_cannot() -> None:
    assert pairs("--feature-type", ["a=b=numeric"], split_last=True) == {"a=b": "numeric"}
    assert pairs("--param", ["a=b=c"]) == {"a": "b=c"}
    with pytest.raises(InvalidRequest, match="--param must be written name=value, got '=1'"):
        pairs("--param", ["=1"])


def test_text_cannot_steer_the_terminal() -> None:
    assert screen.text("\x1b[31mred\x07\x9b").plain == "\\x1b[31mred\\x07\\x9b"
    assert screen.text("[bold]kept[/bold]").plain == "[bold]kept[/bold]"


@pytest.mark.parametrize(
    ("passed", "said"),
    [
        (timedelta(seconds=-5), "just now"),
        (timedelta(seconds=59), "59 seconds ago"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(hours=23, minutes=59), "23 hours ago"),
        (timedelta(days=2), "2 days ago"),
        (timedelta(days=45), "1 month ago"),
        (timedelta(days=800), "2 years ago"),
    ],
)
def test_ages_are_words(passed: timedelta, said: str) -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    assert screen.age(now - passed, now) == said


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.csv"
    write_whole(path, b"first")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", fail)
        with pytest.raises(InvalidRequest, match="No space left on device"):
            write_whole(path, b"second")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(InvalidRequest, match="cannot be written"):
        write_whole(tmp_path, b"a folder")
