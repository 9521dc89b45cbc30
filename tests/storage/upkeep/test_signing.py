"""Signatures in the upkeep: what is signed by hand, and what the doctor, a repair and a backup make of signatures."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from modelyard.access.signing import SigningKeys
from modelyard.errors import FailedPrecondition, ModelNotFound, Unsigned
from modelyard.storage import ModelRecord
from modelyard.storage.folder import Folder
from modelyard.storage.upkeep import backup
from modelyard.storage.upkeep.doctor import examine
from modelyard.storage.upkeep.repair import repair
from modelyard.storage.upkeep.signing import Signing
from tests.forging import document_of, put_document
from tests.storage_drafts import LIBRARIES, add_model, audit_of, new_model, open_store

OLD, NEW = b"o" * 32, b"n" * 32
OLD_KEY, NEW_KEY, BOTH = (SigningKeys.from_secrets(secrets) for secrets in ([OLD], [NEW], [NEW, OLD]))


@pytest.fixture
def records(storage_dir: Path) -> list[ModelRecord]:
    """An unsigned model, and one that the old key has signed, deleted."""
    with closing(open_store(storage_dir)) as store:
        unsigned = add_model(store, new_model(name="unsigned"))
    with closing(open_store(storage_dir, signing=OLD_KEY)) as store:
        signed = add_model(store, new_model(name="signed"))
        store.set_status("signed", "deleted")
        audit_of(store).accept_unsigned()
    return [unsigned, signed]


def is_loaded(root: Path, model_id: str, keys: SigningKeys) -> bool:
    with closing(open_store(root, signing=keys)) as store:
        try:
            store.load_estimator(store.get(model_id), LIBRARIES)
        except Unsigned:
            return False
    return True


def found(root: Path, keys: SigningKeys | None) -> dict[str | None, tuple[str, str]]:
    return {
        finding.model_id: (finding.kind, finding.problem) for finding in examine(Folder(root), signing=keys).findings
    }


def forge(root: Path, record: ModelRecord) -> None:
    """Change what is signed of a model."""
    model_id = record.metadata.model_id
    document = document_of(root, model_id)
    document["metadata"]["environment"]["python"] = "3"
    put_document(root, model_id, document)


def sign(root: Path, keys: SigningKeys, *references: str) -> dict[str, str]:
    """Sign what is to be signed, and return why it was."""
    with closing(Signing(Folder(root), keys)) as signing:
        shown = signing.to_sign(references or None)
        for one in shown:
            signing.sign(one.record)
    return {one.record.metadata.name: one.why for one in shown}


def test_models_are_signed_by_name_and_all_at_once(storage_dir: Path, records: list[ModelRecord]) -> None:
    unsigned, signed = (record.metadata.model_id for record in records)
    before = (storage_dir / "artifacts" / unsigned / "model.pkl").read_bytes()
    with pytest.raises(ModelNotFound):
        sign(storage_dir, BOTH, "missing")
    assert not is_loaded(storage_dir, unsigned, BOTH)
    assert sign(storage_dir, BOTH, "unsigned", unsigned) == {"unsigned": "is not signed"}
    assert is_loaded(storage_dir, unsigned, BOTH)
    assert sign(storage_dir, BOTH) == {"signed": "is signed by an older key"}
    assert sign(storage_dir, BOTH) == {}
    assert all(is_loaded(storage_dir, model_id, NEW_KEY) for model_id in (unsigned, signed))
    assert (storage_dir / "artifacts" / unsigned / "model.pkl").read_bytes() == before
    assert examine(Folder(storage_dir), signing=BOTH).findings == []


def test_a_model_is_signed_as_it_was_shown_or_not_at_all(storage_dir: Path, records: list[ModelRecord]) -> None:
    with closing(Signing(Folder(storage_dir), NEW_KEY)) as signing:
        changed, deleted = (one.record for one in signing.to_sign(None))
        forge(storage_dir, records[0])
        with closing(open_store(storage_dir)) as store:
            store.delete_for_good(records[1].metadata.model_id)
        for record in (changed, deleted):
            with pytest.raises(FailedPrecondition, match="look at it again"):
                signing.sign(record)
    assert not is_loaded(storage_dir, records[0].metadata.model_id, NEW_KEY)


def test_the_checksum_that_is_shown_is_the_one_that_counts(storage_dir: Path, records: list[ModelRecord]) -> None:
    model_id = records[0].metadata.model_id
    document = document_of(storage_dir, model_id)
    document["metadata"]["artifact"]["sha256"] = "0" * 64
    put_document(storage_dir, model_id, document)
    with closing(Signing(Folder(storage_dir), NEW_KEY)) as signing:
        (shown,) = signing.to_sign([model_id])
    assert shown.sha256 == records[0].files["model.pkl"].sha256


def test_the_doctor_tells_unsigned_and_wrong_ones(storage_dir: Path, records: list[ModelRecord]) -> None:
    unsigned, signed = (record.metadata.model_id for record in records)
    assert found(storage_dir, None) == {}
    assert found(storage_dir, OLD_KEY) == {unsigned: ("signature", "unsigned:1 is not signed")}
    forge(storage_dir, records[1])
    wrong = "signed:1 is not what was signed: its signature does not hold"
    assert found(storage_dir, OLD_KEY)[signed] == ("signature", wrong)
    for look in (examine, repair):
        assert not look(Folder(storage_dir), signing=OLD_KEY).is_sound
    assert found(storage_dir, OLD_KEY)[signed] == ("signature", wrong), "a repair signs nothing that was wrong"


def test_a_database_made_anew_of_the_models_keeps_their_signatures(
    storage_dir: Path, records: list[ModelRecord]
) -> None:
    sign(storage_dir, BOTH, "unsigned")
    (storage_dir / "db.jsonl").unlink()
    assert repair(Folder(storage_dir), signing=BOTH).is_sound
    assert all(is_loaded(storage_dir, record.metadata.model_id, BOTH) for record in records)


@pytest.mark.parametrize("keys", [OLD_KEY, None], ids=["with the key", "without"])
@pytest.mark.parametrize("forged", [False, True], ids=["true", "forged"])
def test_a_repair_signs_anew_what_was_signed(
    keys: SigningKeys | None, forged: bool, storage_dir: Path, records: list[ModelRecord]
) -> None:
    model_id = records[1].metadata.model_id
    if forged:
        forge(storage_dir, records[1])
    (storage_dir / "artifacts" / model_id / "report.json").write_bytes(b"?")
    repair(Folder(storage_dir), signing=keys)
    assert examine(Folder(storage_dir)).findings == []
    assert is_loaded(storage_dir, model_id, OLD_KEY) == (keys is not None and not forged)


def test_a_backup_keeps_signatures(storage_dir: Path, records: list[ModelRecord], tmp_path: Path) -> None:
    backup.create(Folder(storage_dir), tmp_path / "yard.tar")
    backup.load(tmp_path / "yard.tar", Folder(tmp_path / "new"))
    unsigned, signed = (record.metadata.model_id for record in records)
    assert is_loaded(tmp_path / "new", signed, OLD_KEY)
    assert not is_loaded(tmp_path / "new", unsigned, OLD_KEY)
    assert found(tmp_path / "new", OLD_KEY) == found(storage_dir, OLD_KEY)
