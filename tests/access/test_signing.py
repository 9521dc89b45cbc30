"""The keys that sign: what their file may be, and what they verify."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from modelyard.access.signing import SigningKeys, read_signing_keys
from modelyard.errors import FailedPrecondition, InvalidRequest

OLD, NEW = b"o" * 32, b"n" * 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "yard"
    folder.mkdir()
    return folder


def _keys(file: Path, folder: Path) -> SigningKeys:
    keys = read_signing_keys(file, folder)
    assert keys is not None
    return keys


def test_the_first_key_of_a_file_signs_and_all_verify(tmp_path: Path, folder: Path) -> None:
    file = tmp_path / "keys"
    file.write_bytes(OLD + b"\n")
    by_old = _keys(file, folder).sign(b"data")
    file.write_bytes(b"\n" + NEW + b"\r\n\n" + OLD)
    both = _keys(file, folder)
    by_new = both.sign(b"data")
    assert by_new != by_old
    assert both.verify(b"data", by_old)
    assert both.verify(b"data", by_new)
    assert (both.is_by_first(by_old), both.is_by_first(by_new)) == (False, True)
    file.write_bytes(NEW)
    new = _keys(file, folder)
    assert new.verify(b"data", by_new)
    assert not new.knows(by_old)
    assert not new.verify(b"data", by_old)


def test_nothing_but_the_data_that_was_signed_verifies() -> None:
    keys = SigningKeys.from_secrets([OLD])
    signature = keys.sign(b"data")
    key_id, _, found = signature.partition(":")
    other = SigningKeys.from_secrets([NEW]).sign(b"data").partition(":")[2]
    for wrong in ("", ":", key_id, f"{key_id}:", f"{key_id}:{other}", f":{found}", f"{signature}0", f"{key_id}:ü"):
        assert not keys.verify(b"data", wrong)
    assert not keys.verify(b"date", signature)


def test_what_is_signed_for_one_purpose_is_not_taken_for_another() -> None:
    keys = SigningKeys.from_secrets([OLD])
    signature = keys.of("models").sign(b"data")
    assert keys.of("models").verify(b"data", signature)
    assert not keys.of("audit").verify(b"data", signature)
    assert not keys.verify(b"data", signature)


def test_without_a_file_there_are_no_keys(folder: Path) -> None:
    assert read_signing_keys(None, folder) is None


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"o" * 31, "line 1 of .* has 31 bytes, a key at least 32"),
        (OLD + b"\nshort\n", "line 2 of .* has 5 bytes"),
        (b"\xff\xfe" + OLD, "is no text"),
    ],
)
def test_a_file_without_good_keys_is_refused(content: bytes, problem: str, tmp_path: Path, folder: Path) -> None:
    file = tmp_path / "keys"
    file.write_bytes(content)
    with pytest.raises(InvalidRequest, match=f"MODELYARD_SIGNING_KEY_FILE: .*{problem}.*openssl"):
        read_signing_keys(file, folder)


def test_what_is_no_file_is_refused_at_once(tmp_path: Path, folder: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, problem in ((pipe, "is no file"), (tmp_path, "is no file"), (tmp_path / "gone", "cannot read")):
        with pytest.raises(InvalidRequest, match=problem):
            read_signing_keys(path, folder)


def test_a_file_in_the_folder_is_refused_by_whatever_path(tmp_path: Path, folder: Path) -> None:
    inside, outside = folder / "keys", tmp_path / "keys"
    inside.write_bytes(OLD)
    outside.write_bytes(OLD)
    (folder / "link").symlink_to(outside)
    (tmp_path / "link").symlink_to(inside)
    (tmp_path / "yard too").symlink_to(folder)
    for file in (inside, folder / "link", tmp_path / "link", tmp_path / "yard too" / "keys"):
        with pytest.raises(FailedPrecondition, match="stands in the folder"):
            read_signing_keys(file, folder)
    with pytest.raises(FailedPrecondition, match="stands in the folder"):
        read_signing_keys(inside, tmp_path / "yard too")


def test_a_file_that_everybody_may_write_is_refused(tmp_path: Path, folder: Path) -> None:
    file = tmp_path / "keys"
    file.write_bytes(OLD)
    file.chmod(0o444)
    assert read_signing_keys(file, folder) is not None
    file.chmod(0o646)
    with pytest.raises(FailedPrecondition, match="everybody may write"):
        read_signing_keys(file, folder)


def test_a_folder_in_which_python_looks_for_modules_is_refused(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "keys"
    file.write_bytes(OLD)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    assert read_signing_keys(file, folder) is not None
    monkeypatch.chdir(folder)
    for place in ("", str(folder), str(folder / "artifacts")):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "path", [*sys.path, place])
            with pytest.raises(FailedPrecondition, match=r"looks for modules in .*yard"):
                read_signing_keys(file, folder)
