"""The files of a model: verified before anything is made of them; written before, removed after what names them."""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
from io import BytesIO
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from modelyard.errors import DataLoss, EnvironmentMismatch, InvalidRequest, ModelNotFound, Unavailable
from modelyard.schemas import ModelQuery
from modelyard.storage import ModelRecord, ModelStore, check_environment, current_environment
from tests.storage_drafts import LIBRARIES, add_model, new_model, open_store

FILES = ("model.pkl", "report.json", "contract.json")


@pytest.fixture
def store(storage_dir: Path) -> ModelStore:
    return open_store(storage_dir)


def path_of(storage_dir: Path, record: ModelRecord, file: str) -> Path:
    return storage_dir / "artifacts" / record.metadata.model_id / file


class Bomb:
    """What writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (explode, (self.path,))


def explode(path: Path) -> None:
    path.touch()


def test_an_estimator_comes_back_as_it_was_fitted(store: ModelStore, storage_dir: Path) -> None:
    X = np.arange(20.0).reshape(10, 2)
    fitted = LogisticRegression().fit(X, np.arange(10) % 2)
    record = add_model(store, new_model(estimator=fitted))
    loaded = open_store(storage_dir).load_estimator(record, LIBRARIES)
    assert np.array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    content = store.file_path(record, "model.pkl").read_bytes()
    assert hashlib.sha256(content).hexdigest() == record.metadata.artifact.sha256
    assert type(joblib.load(BytesIO(content))) is LogisticRegression


@pytest.mark.parametrize("file", FILES)
def test_every_flipped_byte_of_a_file_is_data_loss(store: ModelStore, storage_dir: Path, file: str) -> None:
    record, other = add_model(store, new_model(name="a")), add_model(store, new_model(name="b"))
    path = path_of(storage_dir, record, file)
    content = path.read_bytes()
    for position, byte in enumerate(content):
        path.write_bytes(content[:position] + bytes([byte ^ 0x10]) + content[position + 1 :])
        with pytest.raises(DataLoss, match=r"expected .* found"):
            store.read_file(record, file)
    with pytest.raises(DataLoss, match=f"{path} is damaged"):
        store.file_path(record, file)
    store.read_file(other, file)


@pytest.mark.parametrize("file", FILES)
def test_a_file_cut_swapped_or_missing_is_data_loss_and_the_rest_is_served(
    store: ModelStore, storage_dir: Path, file: str
) -> None:
    drafts = [new_model(estimator=n, report=b"%d" % n, contract=b"%d" % n) for n in range(2)]
    one, other = (add_model(store, draft) for draft in drafts)
    path = path_of(storage_dir, one, file)
    content = path.read_bytes()
    for wrong in (content[:-1], b"", content + b" ", path_of(storage_dir, other, file).read_bytes()):
        path.write_bytes(wrong)
        with pytest.raises(DataLoss, match=f"{path} is damaged"):
            store.read_file(one, file)
    path.unlink()
    for read in (store.read_file, store.file_path):
        with pytest.raises(DataLoss, match=f"{path} is missing"):
            read(one, file)
        read(other, file)
    assert len(store.page(ModelQuery()).models) == 2


def test_nothing_is_unpickled_before_its_checksum_held(store: ModelStore, storage_dir: Path, tmp_path: Path) -> None:
    record = add_model(store, new_model())
    path_of(storage_dir, record, "model.pkl").write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    with pytest.raises(DataLoss):
        store.load_estimator(record, LIBRARIES)
    assert not (tmp_path / "exploded").exists()


def test_nothing_is_unpickled_in_another_environment(storage_dir: Path, tmp_path: Path) -> None:
    store = open_store(storage_dir)
    recorded = current_environment(LIBRARIES) | {"scikit-learn": "0.1.0"}
    record = add_model(store, new_model(environment=recorded, estimator=Bomb(tmp_path / "exploded")))
    with pytest.raises(EnvironmentMismatch, match=r"scikit-learn 0\.1\.0, here is scikit-learn .*VERSION_SKEW=true"):
        store.load_estimator(record, LIBRARIES)
    assert not (tmp_path / "exploded").exists()
    open_store(storage_dir, allow_version_skew=True).load_estimator(record, LIBRARIES)
    assert (tmp_path / "exploded").exists()


def test_an_environment_matches_up_to_patch_versions() -> None:
    here = current_environment(LIBRARIES)
    assert set(here) == {"python", "scikit-learn", "numpy", "joblib"}
    major, minor, *_ = here["scikit-learn"].split(".")
    for version in (here["scikit-learn"], f"{major}.{minor}.99"):
        check_environment("it", here | {"scikit-learn": version, "python": "3.99.0"}, LIBRARIES)
    for wrong in ({"scikit-learn": f"{major}.99.0"}, {"scikit-learn": f"99.{minor}.0"}, {"python": "2.7.18"}):
        with pytest.raises(EnvironmentMismatch, match="it was made with"):
            check_environment("it", here | wrong, LIBRARIES)
        check_environment("it", here | wrong, LIBRARIES, allow_version_skew=True)
    with pytest.raises(EnvironmentMismatch, match="of an unknown version"):
        check_environment("it", {}, LIBRARIES)


def test_a_library_that_is_not_installed_is_named() -> None:
    for skew in (False, True):
        with pytest.raises(
            EnvironmentMismatch, match=r"made with no-such-library 1\.2\.3, which is not installed here"
        ):
            check_environment("it", {"no-such-library": "1.2.3"}, ["no-such-library"], allow_version_skew=skew)


def test_a_file_of_a_model_deleted_meanwhile_is_not_found(store: ModelStore, storage_dir: Path) -> None:
    record = add_model(store, new_model())
    open_store(storage_dir).delete_for_good(record.metadata.model_id)
    with pytest.raises(ModelNotFound, match="was deleted for good"):
        store.read_file(record, "model.pkl")


def test_a_file_that_no_model_has_is_refused(store: ModelStore) -> None:
    record = add_model(store, new_model())
    with pytest.raises(InvalidRequest, match=r"it has: model\.pkl, report\.json, contract\.json"):
        store.read_file(record, "../db.jsonl")


def test_a_commit_that_fails_leaves_no_files(
    store: ModelStore, storage_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_model(store, new_model(name="churn"))
    fsync = os.fsync
    database = (storage_dir / "db.jsonl").stat().st_ino
    left = [1]

    def refuse(file: int) -> None:
        if left[0] and os.fstat(file).st_ino == database:
            left[0] -= 1
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(file)

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(Unavailable, match="Input/output error"):
        add_model(store, new_model(name="churn"))
    assert len(list((storage_dir / "artifacts").iterdir())) == 1
    assert add_model(store, new_model(name="churn")).metadata.version == 2


def test_files_that_cannot_be_written_leave_nothing(
    store: ModelStore, storage_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = (storage_dir / "db.jsonl").read_bytes()
    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(Unavailable, match=r"cannot write .*jobs.*No space left on device"):
        add_model(store, new_model())
    assert list((storage_dir / "artifacts").iterdir()) == []
    assert (storage_dir / "db.jsonl").read_bytes() == before


def test_too_many_open_files_are_unavailable(store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    record = add_model(store, new_model())

    def refuse(self: Path) -> bytes:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(Unavailable, match="Too many open files"):
        store.read_file(record, "report.json")


def test_an_estimator_whose_class_is_gone_is_not_loaded(store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    record = add_model(store, new_model(estimator=Bomb(Path("never"))))
    monkeypatch.delattr(f"{__name__}.explode")
    with pytest.raises(EnvironmentMismatch, match=r"cannot be loaded in this environment \(AttributeError"):
        store.load_estimator(record, LIBRARIES)
