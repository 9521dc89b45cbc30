"""The signatures of models: what they cover, what they outlast, and what is not unpickled without one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from modelyard.access.signing import SigningKeys
from modelyard.errors import DataLoss, Unsigned
from modelyard.schemas import (
    MOST_PROBABLE,
    Artifact,
    Evaluation,
    ModelMetadata,
    ModelWarning,
    Reading,
    ResolvedDecision,
    SearchSummary,
    Tracking,
)
from modelyard.storage import ModelRecord, ModelStore, StoredFile
from modelyard.storage.collections.models import model_document, model_record
from modelyard.storage.collections.signatures import CHANGING, Signatures
from tests.forging import document_of, payload, put_artifact, put_document
from tests.storage_drafts import LIBRARIES, add_model, new_model, open_store

KEYS = SigningKeys.from_secrets([b"k" * 32])
OTHER_KEYS = SigningKeys.from_secrets([b"o" * 32])


@pytest.fixture
def store(storage_dir: Path) -> Iterator[ModelStore]:
    with closing(open_store(storage_dir, signing=KEYS)) as store:
        yield store


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return tmp_path / "trace"


def load(store: ModelStore, reference: str) -> Any:
    return store.load_estimator(store.get_active(reference), LIBRARIES)


CHANGES: dict[str, Any] = {
    "model_id": "01a21922-43a2-76c0-91b1-8121dd5502a7",
    "name": "other",
    "version": 7,
    "parent_id": "01a21922-43a2-76c0-91b1-8121dd5502a7",
    "model_class_key": "catboost_classifier",
    "task": "regression",
    "hyperparams": {"C": 2.0},
    "metrics": {},
    "feature_names": ["sex", "age"],
    "feature_types": {"age": "categorical", "sex": "categorical"},
    "column_roles": {"at": "time"},
    "monotone": {"age": 1},
    "calibrate": "sigmoid",
    "classes": ["yes", "no"],
    "n_rows": 11,
    "target": "bought",
    "fingerprint": "0",
    "features_fingerprint": "0",
    "tags": ["new"],
    "description": "new",
    "warnings": [ModelWarning(code="held_out", message="")],
    "evaluation": Evaluation(method="none"),
    "reading": Reading(missing_markers=["-"]),
    "created_at": datetime.now(UTC),
    "training_seconds": 7.0,
    "search": SearchSummary(trials=3, seconds=7.0, metric="rmse"),
    "environment": {},
    "status": "deleted",
    "decision": MOST_PROBABLE,
    "tracking": Tracking(status="sent"),
    "updated_at": datetime.now(UTC),
    "artifact": Artifact(file="model.pkl", sha256="0" * 64, bytes=1),
    "message": "new",
}


@pytest.mark.parametrize("field", ModelMetadata.model_fields)
def test_all_that_is_known_of_a_model_is_signed_but_what_changes(field: str) -> None:
    signatures = Signatures(KEYS)
    record = signatures.sign(_record())
    assert signatures.problem(record) is None
    problem = signatures.problem(record.with_metadata(**{field: CHANGES.get(field, "new")}))
    assert (problem is None) == (field in CHANGING), problem


@pytest.mark.parametrize("change", [{"sha256": "0" * 64}, {"bytes": 1}, None], ids=["sum", "size", "missing"])
@pytest.mark.parametrize("file", ["model.pkl", "report.json", "contract.json"])
def test_the_checksum_of_each_file_is_signed(file: str, change: dict[str, Any] | None) -> None:
    signatures = Signatures(KEYS)
    record = signatures.sign(_record())
    files = dict(record.files)
    if change is None:
        del files[file]
    else:
        files[file] = StoredFile(**{"sha256": files[file].sha256, "bytes": files[file].bytes, **change})
    assert signatures.problem(ModelRecord(record.metadata, files, record.signature)) is not None


def test_a_signature_holds_after_the_document_was_read_and_written_again() -> None:
    signatures = Signatures(KEYS)
    record = signatures.sign(_record())
    for _ in range(2):
        record = model_record(record.metadata.model_id, orjson.dumps(model_document(record)))
        assert signatures.problem(record) is None


def test_what_was_signed_by_this_release_is_known_by_every_later_one() -> None:
    """A signature that is not what it was would have every yard sign all its models anew."""
    document = {
        "metadata": {
            "model_id": "01a21922-43a2-76c0-91b1-8121dd5502a7",
            "name": "churn",
            "version": 3,
            "parent_id": None,
            "model_class_key": "logistic_regression",
            "task": "classification",
            "hyperparams": {"C": 1.0, "max_iter": 1000, "class_weight": None},
            "metrics": {"train_accuracy": 0.1 + 0.2, "validation_roc_auc": None, "validation_accuracy": 1},
            "feature_names": ["äge", "at"],
            "feature_types": {"äge": "numeric", "at": "datetime"},
            "column_roles": {"customer": "id"},
            "monotone": {"äge": -1},
            "calibrate": "sigmoid",
            "classes": [False, True],
            "n_rows": 30,
            "target": "bought",
            "tags": ["a"],
            "warnings": [{"code": "held_out", "message": "12 rows", "column": None, "count": 12}],
            "evaluation": {"method": "cv", "folds": 3},
            "reading": {"decimal": ",", "missing_markers": ["?"]},
            "created_at": "2026-11-26T18:33:25.794000Z",
            "training_seconds": 0.25,
            "environment": {"python": "3.11.2", "scikit-learn": "1.9.0"},
            "status": "active",
            "tracking": {"status": "off"},
            "updated_at": "2026-11-26T18:33:25.794000Z",
            "artifact": {"file": "model.pkl", "sha256": "1" * 64, "bytes": 10},
        },
        "files": {"model.pkl": {"sha256": "1" * 64, "bytes": 10}, "report.json": {"sha256": "2" * 64, "bytes": 20}},
        "signature": "540faae8:7d4186a40babaf85ab8ea44a78d7f12af8f5bf5bcaae372de0223445aa144ae1",
    }
    record = model_record("01a21922-43a2-76c0-91b1-8121dd5502a7", orjson.dumps(document))
    assert Signatures(KEYS).problem(record) is None


def test_what_verbs_change_leaves_the_signature(store: ModelStore) -> None:
    add_model(store, new_model(name="churn"))
    store.update("churn", ["new"], "new")
    store.set_decision("churn", ResolvedDecision.model_validate(MOST_PROBABLE.model_dump()))
    store.set_status("churn:1", "deleted")
    store.set_status("churn:1", "active")
    assert load(store, "churn") == {"weights": [1.0, 2.0]}


def test_without_keys_nothing_is_signed_and_everything_is_loaded(storage_dir: Path, trace: Path) -> None:
    with closing(open_store(storage_dir)) as store:
        record = add_model(store, new_model(name="churn"))
        assert record.signature is None
        document = document_of(storage_dir, record.metadata.model_id)
        put_artifact(storage_dir, document, payload(trace))
        put_document(storage_dir, record.metadata.model_id, document)
        load(store, "churn")
        assert store.unsigned() == ""
    assert trace.exists(), "the payload works, so the tests below can fail"


@pytest.mark.parametrize("signature", [None, "that of before", "another yard's", "", ":", "ü"])
def test_a_forged_artifact_is_not_unpickled(
    signature: str | None, store: ModelStore, storage_dir: Path, trace: Path
) -> None:
    model_id = add_model(store, new_model(name="churn")).metadata.model_id
    document = document_of(storage_dir, model_id)
    put_artifact(storage_dir, document, payload(trace))
    if signature is None:
        del document["signature"]
    elif signature == "another yard's":
        forged = Signatures(OTHER_KEYS).sign(model_record(model_id, orjson.dumps(document)))
        document["signature"] = forged.signature
    elif signature != "that of before":
        document["signature"] = signature
    put_document(storage_dir, model_id, document)
    with pytest.raises(Unsigned, match=f"model {model_id} .*churn:1.*`modelyard sign {model_id}`"):
        load(store, "churn")
    for file in ("model.pkl", "contract.json"):
        with pytest.raises(Unsigned):
            store.read_file(store.get("churn"), file)
        with pytest.raises(Unsigned):
            store.file_path(store.get("churn"), file)
    assert store.read_file(store.get("churn"), "report.json") == b'{"metrics":{}}'
    assert not trace.exists()


def test_a_model_does_not_answer_for_another(store: ModelStore, storage_dir: Path) -> None:
    mine, theirs = (
        add_model(store, new_model(name=name, estimator=name)).metadata.model_id for name in ("mine", "theirs")
    )
    original, swapped = document_of(storage_dir, theirs), document_of(storage_dir, mine)
    content = (storage_dir / "artifacts" / mine / "model.pkl").read_bytes()
    for signature in (original["signature"], swapped["signature"]):
        document = {**original, "metadata": {**original["metadata"]}, "signature": signature}
        put_artifact(storage_dir, document, content)
        put_document(storage_dir, theirs, document)
        with pytest.raises(Unsigned, match="its signature does not hold"):
            load(store, "theirs")
    put_document(storage_dir, theirs, swapped | {"metadata": {**swapped["metadata"], "name": "theirs"}})
    with pytest.raises(DataLoss, match=f"the document of model {theirs} is damaged: it is that of {mine}"):
        store.get_active("theirs")


def test_a_signature_that_is_no_text_is_damage(store: ModelStore, storage_dir: Path) -> None:
    model_id = add_model(store, new_model(name="churn")).metadata.model_id
    put_document(storage_dir, model_id, {**document_of(storage_dir, model_id), "signature": ["x"]})
    with pytest.raises(DataLoss, match="its signature is no text"):
        load(store, "churn")


def test_a_model_signed_by_a_key_that_is_gone_is_refused_until_it_is_back(storage_dir: Path) -> None:
    old, new = b"1" * 32, b"2" * 32
    with closing(open_store(storage_dir, signing=SigningKeys.from_secrets([old]))) as store:
        add_model(store, new_model(name="churn"))
    with closing(open_store(storage_dir, signing=SigningKeys.from_secrets([new]))) as store:
        with pytest.raises(Unsigned, match="by a key that MODELYARD_SIGNING_KEY_FILE does not hold"):
            load(store, "churn")
        assert "does not hold" in "".join(store.damaged())
        assert store.unsigned() == ""
    with closing(open_store(storage_dir, signing=SigningKeys.from_secrets([new, old]))) as store:
        assert load(store, "churn") == {"weights": [1.0, 2.0]}
        add_model(store, new_model(name="churn"))
    with closing(open_store(storage_dir, signing=SigningKeys.from_secrets([new]))) as store:
        assert load(store, "churn:2") == {"weights": [1.0, 2.0]}


def test_unsigned_models_are_counted(storage_dir: Path) -> None:
    with closing(open_store(storage_dir)) as store:
        for _ in range(2):
            add_model(store, new_model(name="old"))
    with closing(open_store(storage_dir, signing=KEYS)) as store:
        add_model(store, new_model(name="new"))
        assert store.unsigned() == "2 models are not signed, so not used: see `modelyard sign`"
        store.set_status("old:1", "deleted")
        assert store.unsigned().startswith("2 models are")
        store.delete_for_good("old:1")
        assert store.unsigned().startswith("1 model is")


def _record() -> ModelRecord:
    new = new_model(name="churn")
    metadata = ModelMetadata(
        model_id="01a21922-43a2-76c0-91b1-8121dd5502a8",
        name="churn",
        version=1,
        updated_at=new.description.created_at,
        artifact=Artifact(file="model.pkl", sha256="1" * 64, bytes=10),
        **dict(new.description),
    )
    files = {name: StoredFile("1" * 64, 10) for name in ("model.pkl", "report.json", "contract.json")}
    return ModelRecord(metadata, files)
