"""`keys` and `whoami`: on a folder, and on a server that asks for a key by `--key-file` or MODELYARD_KEY."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from modelyard.access.keys import take_apart
from tests import doors
from tests.access.callers import AT_ONCE_EXPIRED, make_key, misspelt, secret_of
from tests.cli.test_cli import Answer, run

FORM = re.compile("my_[0-9A-Za-z]{8}_[0-9A-Za-z]{49}")


@dataclass(frozen=True)
class Served:
    """A yard's folder, the URLs of its servers, and an administrator's and a reader's key."""

    folder: Path
    urls: dict[str, str]
    admin: str
    reader: str


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("keys") / "yard"
    with doors.core(folder) as yard:
        admin, reader = make_key(yard, "boss", "admin"), make_key(yard, "reads", "reader", "churn*")
    with doors.rest_thread(folder, auth="keys") as url, doors.grpc_thread(folder, auth="keys") as target:
        yield Served(folder, {"rest": url, "grpc": f"grpc://{target}"}, admin, reader)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("MODELYARD_URL", "MODELYARD_STORAGE_DIR", "MODELYARD_LOG_LEVEL", "MODELYARD_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(params=["folder", "rest", "grpc"])
def way(request: pytest.FixtureRequest, served: Served, tmp_path: Path) -> list[str]:
    """The options that lead to the yard, an administrator's key among them."""
    if request.param == "folder":
        return ["--storage", str(served.folder)]
    file = tmp_path / "admin.key"
    file.write_text(f"{served.admin}\n")
    return ["--url", served.urls[request.param], "--key-file", str(file)]


def key_in(answer: Answer) -> str:
    """Return the one line of standard output, which is a key."""
    (line,) = answer.out.splitlines()
    assert FORM.fullmatch(line)
    return line


def test_the_life_of_a_key(way: list[str]) -> None:
    name = f"life-{uuid4().hex}"
    made = run("keys", "create", name, "--role", "trainer", "--models", "churn*", "--models", "a?", *way)
    assert (made.exit_code, secret_of(key_in(made)) in made.err) == (0, False)
    assert f"The key of {name} (trainer) is shown this once" in made.err.replace("\n", " ")
    listed = {key["name"]: key for key in run("keys", "list", "--json", *way).document["keys"]}
    assert (listed[name]["role"], listed[name]["models"]) == ("trainer", ["churn*", "a?"])
    table = run("keys", "list", *way).out
    assert name in table
    assert "churn*, a?" in table
    assert secret_of(made.out) not in table + json.dumps(listed)
    assert listed[name]["old_valid_until"] is None
    rotated = run("keys", "rotate", name, "--grace-s", "60", *way)
    assert key_in(rotated) != key_in(made)
    listed = {key["name"]: key for key in run("keys", "list", "--json", *way).document["keys"]}
    until = listed[name]["old_valid_until"]
    assert f"{until[:10]} {until[11:16]} UTC" in " ".join(run("keys", "list", *way).out.split())
    taken = run("keys", "create", name, "--role", "reader", *way)
    assert (taken.exit_code, taken.out) == (4, "")
    revoked = run("keys", "revoke", name, *way)
    assert (revoked.exit_code, revoked.out) == (0, f"revoked {name}\n")
    assert run("keys", "revoke", name, *way).exit_code == 3
    assert run("keys", "rotate", name, *way).exit_code == 3


def test_with_json_the_last_line_of_output_is_the_key_with_its_name(
    way: list[str], request: pytest.FixtureRequest
) -> None:
    name = "json-" + re.sub(r"\W", "", request.node.name[-6:])
    made = run("keys", "create", name, "--role", "reader", "--expires-days", "0.5", "--json", *way)
    document = json.loads(made.out.splitlines()[-1])
    assert (document["name"], take_apart(document["key"]) is not None) == (name, True)
    assert document["expires_at"] is not None
    rotated = json.loads(run("keys", "rotate", name, "--json", *way).out.splitlines()[-1])
    assert rotated["name"] == name
    assert rotated["key"] != document["key"]
    assert run("keys", "revoke", name, "--json", *way).document == {}


def test_the_first_key_makes_the_yard_and_a_refused_one_leaves_none(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "yard"
    refused = run("keys", "create", "a b", "--role", "admin", "--storage", folder)
    assert refused.exit_code == 2
    assert not (tmp_path / "new").exists()
    made = run("keys", "create", "first", "--role", "admin", "--storage", folder)
    assert made.exit_code == 0
    assert [key["name"] for key in run("keys", "list", "--json", "--storage", folder).document["keys"]] == ["first"]


@pytest.mark.parametrize("as_json", [False, True])
def test_a_generated_key_is_one_and_no_yards(tmp_path: Path, as_json: bool) -> None:
    answer = run("keys", "generate", *(["--json"] if as_json else []))
    key = answer.document["key"] if as_json else key_in(answer)
    assert take_apart(key) is not None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("door", ["rest", "grpc"])
def test_a_key_comes_from_a_file_or_from_the_environment_and_the_file_wins(
    served: Served, door: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = ["--url", served.urls[door]]
    nobody = run("whoami", *url)
    assert nobody.exit_code == 9
    assert "a key is needed" in nobody.err
    monkeypatch.setenv("MODELYARD_KEY", served.reader)
    assert run("whoami", *url).out == "reads: reader, models: churn*\n"
    file = tmp_path / "boss.key"
    file.write_text(served.admin)
    assert run("whoami", *url, "--key-file", file).out == "boss: admin, models: all\n"
    listed = run("keys", "list", "--json", *url, "--key-file", file).document["keys"]
    made = next(key["created_at"] for key in listed if key["name"] == "boss")
    who = {"name": "boss", "role": "admin", "models": [], "created_at": made}
    assert run("whoami", "--json", *url, "--key-file", file).document == who
    monkeypatch.setenv("MODELYARD_KEY", "")
    assert run("whoami", *url).exit_code == 9


@pytest.mark.parametrize("door", ["rest", "grpc"])
def test_what_is_not_allowed_ends_with_nine_and_says_why(
    served: Served, door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = ["--url", served.urls[door]]
    with doors.core(served.folder) as yard:
        expired = make_key(yard, f"expired-{door}", "admin", days=AT_ONCE_EXPIRED)
    for key, why in (
        (misspelt(served.admin), "the key is not valid"),
        (expired, "the key is not valid"),
        (served.reader, "'list_keys' needs the role 'admin', key 'reads' has 'reader'"),
    ):
        monkeypatch.setenv("MODELYARD_KEY", key)
        answer = run("keys", "list", *url)
        assert (answer.exit_code, answer.out) == (9, "")
        assert why in answer.err.replace("\n", " ")
        assert secret_of(key) not in answer.err
        problem = json.loads(run("keys", "list", "--json", *url).err)
        assert problem["code"] == ("PERMISSION_DENIED" if key == served.reader else "UNAUTHENTICATED")
    foreign = run("show", "secret", *url)
    assert foreign.exit_code == 9
    assert "key 'reads' may not use models named 'secret'; it is limited to: churn*" in foreign.err.replace("\n", " ")


@pytest.mark.parametrize("content", [b"", b"two words", "ключ".encode(), b"\xff\xfe\x00"])
def test_a_file_without_a_key_is_told_before_a_server_is_asked(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "wrong.key"
    file.write_bytes(content)
    answer = run("whoami", "--url", "http://127.0.0.1:9", "--key-file", file)
    assert answer.exit_code == 2
    assert "key" in answer.err


def test_a_file_that_is_not_there_is_told_by_its_name(tmp_path: Path) -> None:
    answer = run("whoami", "--url", "http://127.0.0.1:9", "--key-file", tmp_path / "none.key")
    assert answer.exit_code == 2
    assert "none.key" in answer.err.replace("\n", "")


def test_whoever_can_write_the_folder_is_trusted(served: Served) -> None:
    who = run("whoami", "--json", "--storage", served.folder).document
    assert who["name"].startswith("local")
    assert (who["role"], who["models"]) == ("admin", [])


@pytest.mark.parametrize(
    "wrong",
    [["--role", "king"], ["--role", "reader", "--models", "["], ["--role", "reader", "--expires-days", "-1"], []],
)
def test_a_key_that_cannot_be_made_is_told_with_what_is_allowed(served: Served, wrong: list[str]) -> None:
    answer = run("keys", "create", "wrong", *wrong, "--storage", served.folder)
    assert (answer.exit_code, answer.out) == (2, "")
