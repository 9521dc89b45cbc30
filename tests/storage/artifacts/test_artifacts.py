"""The files of a model: verified before anything is made of them; written before, removed after what names them."""

from __future__ import annotations

import hashlib
import pickle
from io import BytesIO
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import obstore
import pytest
from sklearn.linear_model import LogisticRegression

from modelyard.errors import DataLoss, EnvironmentMismatch, InvalidRequest, ModelNotFound
from modelyard.schemas import ModelQuery
from modelyard.storage import ModelRecord, ModelStore, check_environment, current_environment
from modelyard.storage.artifacts.folder import ArtifactFolder
from modelyard.storage.artifacts.objects import ObjectArtifacts
from tests.conftest import ENGINES
from tests.engines import Engine
from tests.storage_drafts import LIBRARIES, add_model, artifacts_of, new_model

ALL = pytest.mark.parametrize("engine", ENGINES, indirect=True)
FILES = ("model.pkl", "report.json", "contract.json")


@pytest.fixture
def store(engine: Engine) -> ModelStore:
    return engine.store()


class Files:
    """The stored files of a model, as somebody else changes them."""

    def __init__(self, store: ModelStore, record: ModelRecord, file: str) -> None:
        artifacts = artifacts_of(store)
        model_id = record.metadata.model_id
        self._bucket = artifacts.bucket if isinstance(artifacts, ObjectArtifacts) else None
        self._key = f"artifacts/{model_id}/{file}"
        self._path = artifacts.path / model_id / file if isinstance(artifacts, ArtifactFolder) else Path()
        self.name = str(self._path) if self._bucket is None else f"{self._bucket.url}/{self._key}"

    def read(self) -> bytes:
        return self._path.read_bytes() if self._bucket is None else self._bucket.get(self._key)

    def write(self, content: bytes) -> None:
        if self._bucket is None:
            self._path.write_bytes(content)
        else:
            obstore.put(self._bucket._store, self._key, content)

    def remove(self) -> None:
        if self._bucket is None:
            self._path.unlink()
        else:
            self._bucket.remove([self._key])


class Bomb:
    """What writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (explode, (self.path,))


def explode(path: Path) -> None:
    path.touch()


@ALL
def test_an_estimator_comes_back_as_it_was_fitted(store: ModelStore, engine: Engine) -> None:
    X = np.arange(20.0).reshape(10, 2)
    fitted = LogisticRegression().fit(X, np.arange(10) % 2)
    record = add_model(store, new_model(estimator=fitted))
    loaded = engine.store().load_estimator(record, LIBRARIES)
    assert np.array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    content = store.file_path(record, "model.pkl").read_bytes()
    assert hashlib.sha256(content).hexdigest() == record.metadata.artifact.sha256
    assert type(joblib.load(BytesIO(content))) is LogisticRegression


@ALL
@pytest.mark.parametrize("file", FILES)
def test_every_flipped_byte_of_a_file_is_data_loss(store: ModelStore, file: str) -> None:
    record, other = add_model(store, new_model(name="a")), add_model(store, new_model(name="b"))
    stored = Files(store, record, file)
    content = stored.read()
    for position, byte in enumerate(content):
        stored.write(content[:position] + bytes([byte ^ 0x10]) + content[position + 1 :])
        with pytest.raises(DataLoss, match=r"expected .* found"):
            store.read_file(record, file)
    with pytest.raises(DataLoss, match=f"{stored.name} is damaged"):
        store.file_path(record, file)
    store.read_file(other, file)


@ALL
@pytest.mark.parametrize("file", FILES)
def test_a_file_cut_swapped_or_missing_is_data_loss_and_the_rest_is_served(store: ModelStore, file: str) -> None:
    drafts = [new_model(estimator=n, report=b"%d" % n, contract=b"%d" % n) for n in range(2)]
    one, other = (add_model(store, draft) for draft in drafts)
    stored = Files(store, one, file)
    content = stored.read()
    for wrong in (content[:-1], b"", content + b" ", Files(store, other, file).read()):
        stored.write(wrong)
        with pytest.raises(DataLoss, match=f"{stored.name} is damaged"):
            store.read_file(one, file)
    stored.remove()
    for read in (store.read_file, store.file_path):
        with pytest.raises(DataLoss, match=f"{stored.name} is missing"):
            read(one, file)
        read(other, file)
    assert len(store.page(ModelQuery()).models) == 2


@ALL
def test_nothing_is_unpickled_before_its_checksum_held(store: ModelStore, tmp_path: Path) -> None:
    record = add_model(store, new_model())
    Files(store, record, "model.pkl").write(pickle.dumps(Bomb(tmp_path / "exploded")))
    with pytest.raises(DataLoss):
        store.load_estimator(record, LIBRARIES)
    assert not (tmp_path / "exploded").exists()


def test_nothing_is_unpickled_in_another_environment(engine: Engine, tmp_path: Path) -> None:
    store = engine.store()
    recorded = current_environment(LIBRARIES) | {"scikit-learn": "0.1.0"}
    record = add_model(store, new_model(environment=recorded, estimator=Bomb(tmp_path / "exploded")))
    with pytest.raises(EnvironmentMismatch, match=r"scikit-learn 0\.1\.0, here is scikit-learn .*VERSION_SKEW=true"):
        store.load_estimator(record, LIBRARIES)
    assert not (tmp_path / "exploded").exists()
    engine.store(allow_version_skew=True).load_estimator(record, LIBRARIES)
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


@ALL
def test_a_file_of_a_model_deleted_meanwhile_is_not_found(store: ModelStore, engine: Engine) -> None:
    record = add_model(store, new_model())
    engine.store().delete_for_good(record.metadata.model_id)
    with pytest.raises(ModelNotFound, match="was deleted for good"):
        store.read_file(record, "model.pkl")


@ALL
def test_a_file_that_no_model_has_is_refused(store: ModelStore) -> None:
    record = add_model(store, new_model())
    with pytest.raises(InvalidRequest, match=r"it has: model\.pkl, report\.json, contract\.json"):
        store.read_file(record, "../db.jsonl")


def test_an_estimator_whose_class_is_gone_is_not_loaded(store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    record = add_model(store, new_model(estimator=Bomb(Path("never"))))
    monkeypatch.delattr(f"{__name__}.explode")
    with pytest.raises(EnvironmentMismatch, match=r"cannot be loaded in this environment \(AttributeError"):
        store.load_estimator(record, LIBRARIES)
