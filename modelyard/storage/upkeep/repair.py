"""Doing something about what `doctor` finds: what is broken is set aside, what can be rebuilt is rebuilt.

Nothing is ever deleted: what is set aside stands under `quarantine/<time>/`, with its path in the folder. Each step is
crash-safe by itself, and the next repair goes on where one was cut short.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from modelyard.errors import DataLoss
from modelyard.schemas import Report
from modelyard.storage import compaction, doctor, history
from modelyard.storage.artifacts import DESCRIPTION_FILE, ArtifactFolder, ArtifactGone, stored
from modelyard.storage.database import Database, Transaction
from modelyard.storage.doctor import Examination, Finding
from modelyard.storage.files import make_folder, sync_folder, unavailable, write_new_file
from modelyard.storage.folder_lock import FolderLock
from modelyard.storage.log_format import Header
from modelyard.storage.models import next_version
from modelyard.storage.opening import require_yard
from modelyard.storage.records import (
    MODELS,
    NAMES,
    REPORT_FILE,
    TOMBSTONES,
    ModelRecord,
    description_file,
    model_document,
    model_record,
)


def repair(root: Path, *, lock_timeout_s: float = 10.0) -> Examination:
    """Look a folder through and mend what can be mended; servers may go on meanwhile.

    Raises NoYard if it holds neither a database nor models, Unavailable where it cannot be read or written,
    FailedPrecondition where a newer release wrote it.
    """
    require_yard(root)
    return _Repair(root, lock_timeout_s).run()


class _Repair:
    def __init__(self, root: Path, lock_timeout_s: float) -> None:
        self._root = root
        self._lock_timeout_s = lock_timeout_s
        now = datetime.now(UTC)
        self._now = now
        self._aside = Path("quarantine") / f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"

    def run(self) -> Examination:
        done = self._mend_database()
        self._artifacts = ArtifactFolder(self._root / "artifacts")
        self._database = Database(self._root / "db.jsonl", lock_timeout_s=self._lock_timeout_s)
        try:
            steps: dict[str, Callable[[Finding], Finding]] = {
                "document": self._drop_document,
                "model": self._set_model_aside,
                "report": self._rebuild_report,
                "description": self._rebuild_description,
                "orphan": self._bring_back,
                "outbox": self._set_record_aside,
            }
            # Twice: a document that was dropped leaves a folder that may be brought back.
            for _ in range(2):
                done += self._mend_numbers()  # before numbers are given out
                found = doctor.examine(self._root, lock_timeout_s=self._lock_timeout_s)
                set_aside: set[str | None] = set()
                for finding in found.findings:
                    if finding.kind in steps and (finding.model_id is None or finding.model_id not in set_aside):
                        done.append(steps[finding.kind](finding))
                        if finding.kind == "model":
                            set_aside.add(finding.model_id)
            left = doctor.examine(self._root, lock_timeout_s=self._lock_timeout_s)
            return Examination(left.models, [*done, *left.findings])
        finally:
            self._database.close()

    def _mend_database(self) -> list[Finding]:
        """Put what can be read of a damaged database in its place, and the damaged one aside."""
        path = self._root / "db.jsonl"
        with FolderLock(self._root / "db.lock", self._lock_timeout_s).held():
            found = doctor.read_database(self._root)
            if not found.damage:
                return []
            with unavailable(f"repair {path}"):
                kept = self._copy_aside(path)
                header = Header(secrets.token_hex(16), found.seq)
                compaction.write(path, found.collections, header)
        said = f"written anew from what was whole; the old one is {kept}" if kept else "begun anew"
        return [Finding("database", "db.jsonl", problem, done=said) for problem in found.damage]

    def _mend_numbers(self) -> Iterator[Finding]:
        """Move counters up to the versions there are."""
        found = doctor.examine(self._root, lock_timeout_s=self._lock_timeout_s)
        for finding in found.findings:
            if finding.kind == "number" and ":" not in finding.what:
                with self._database.transaction() as transaction:
                    last = self._last_version(finding.what)
                    transaction.put(NAMES, finding.what, {"last_version": last})
                yield finding.mended(f"moved to {last}")

    def _last_version(self, name: str) -> int:
        documents = {collection: dict(self._database.documents(collection)) for collection in (MODELS, TOMBSTONES)}
        return max(int(known["version"]) for _, known in doctor.known_models(documents) if known["name"] == name)

    def _drop_document(self, finding: Finding) -> Finding:
        assert finding.model_id is not None
        with self._database.transaction() as transaction:
            raw = self._database.raw(MODELS, finding.model_id)
            transaction.remove(MODELS, finding.model_id)
            transaction.before_commit(lambda: self._write_aside(finding.what, raw or b""))
        self._database.compact()  # the line that put it stops every reader who keeps an index
        return finding.mended(f"set aside as {self._aside / finding.what}")

    def _set_model_aside(self, finding: Finding) -> Finding:
        with self._database.transaction() as transaction:
            record = self._record(finding)
            if record is None or not self._is_damaged(record):
                return finding.mended("is right by now")
            history.bury(transaction, record, "repair", self._now)
            model_id = record.metadata.model_id
            transaction.before_commit(lambda: self._move_aside(f"artifacts/{model_id}", describe=record))
        return finding.mended(f"the model is set aside in {self._aside / 'artifacts' / model_id}")

    def _rebuild_report(self, finding: Finding) -> Finding:
        """Let a report that says what the metadata says take a damaged one's place."""
        with self._database.transaction() as transaction:
            record = self._record(finding)
            if record is None:
                return finding.mended("its model is gone by now")
            content = _report_of(record)
            files = {**record.files, REPORT_FILE: stored(content)}
            rebuilt = replace(record, files=files).with_metadata(updated_at=self._now)
            transaction.put(MODELS, record.metadata.model_id, model_document(rebuilt))
            history.note(transaction, rebuilt, "repair", self._now)
            transaction.before_commit(lambda: self._replace(finding.what, content))
        self._replace(_description_path(rebuilt), _description(rebuilt))
        return finding.mended(f"made anew with the metrics alone; {self._where(finding.what)}")

    def _rebuild_description(self, finding: Finding) -> Finding:
        with self._database.reading():
            record = self._record(finding)
        if record is None:
            return finding.mended("its model is gone by now")
        self._replace(finding.what, _description(record))
        return finding.mended("written anew from the database")

    def _bring_back(self, finding: Finding) -> Finding:
        """Name an unnamed model again, as a deleted one: a person decides whether it shall be served."""
        assert finding.model_id is not None
        model_id = finding.model_id
        with self._database.transaction() as transaction:
            if self._database.raw(MODELS, model_id) is not None:
                return finding.mended("is named by now")
            try:
                record = doctor.orphan(self._artifacts, model_id)
            except DataLoss:
                self._move_aside(finding.what)
                return finding.mended(f"set aside as {self._aside / finding.what}")
            record = self._named_again(transaction, record)
        model = record.metadata
        return finding.mended(f"brought back as {model.name}:{model.version}, deleted: restore it to serve it")

    def _set_record_aside(self, finding: Finding) -> Finding:
        """Let the tracker make the record anew from the database, as it does where there is none."""
        self._move_aside(finding.what)
        return finding.mended(f"set aside as {self._aside / finding.what}; a server makes it anew")

    def _named_again(self, transaction: Transaction, record: ModelRecord) -> ModelRecord:
        version = next_version(transaction, record.metadata.name)
        record = record.with_metadata(version=version, status="deleted", updated_at=self._now)
        transaction.put(MODELS, record.metadata.model_id, model_document(record))
        history.note(transaction, record, "repair", self._now)
        return record

    def _record(self, finding: Finding) -> ModelRecord | None:
        assert finding.model_id is not None
        raw = self._database.raw(MODELS, finding.model_id)
        return None if raw is None else model_record(finding.model_id, raw)

    def _is_damaged(self, record: ModelRecord) -> bool:
        for name, expected in record.files.items():
            try:
                self._artifacts.verify(record.metadata.model_id, name, expected)
            except (ArtifactGone, DataLoss):
                return True
        return False

    # Moving things aside. All on one file system: names change, contents do not.

    def _target(self, what: str) -> Path:
        target = self._root / self._aside / what
        make_folder(target.parent)
        return target

    def _move_aside(self, what: str, describe: ModelRecord | None = None) -> None:
        source = self._root / what
        with unavailable(f"set {source} aside"):
            target = self._target(what)
            if source.exists():
                source.rename(target)
            else:
                make_folder(target)
            if describe is not None and not (target / DESCRIPTION_FILE).exists():
                write_new_file(target / DESCRIPTION_FILE, _description(describe))
            sync_folder(target.parent)
            sync_folder(source.parent)

    def _copy_aside(self, source: Path) -> Path | None:
        if not source.exists():
            return None
        target = self._target(source.name)
        write_new_file(target, source.read_bytes())
        sync_folder(target.parent)
        return self._aside / source.name

    def _write_aside(self, what: str, content: bytes) -> None:
        target = self._target(what)
        with unavailable(f"write {target}"):
            write_new_file(target, content)
            sync_folder(target.parent)

    def _replace(self, what: str, content: bytes) -> None:
        """Put a file in the place of another one, which is set aside."""
        path = self._root / what
        with unavailable(f"write {path}"):
            if path.exists():
                self._copy_aside_as(path, what)
            temporary = path.with_suffix(".new")
            temporary.unlink(missing_ok=True)
            write_new_file(temporary, content)
            temporary.replace(path)
            sync_folder(path.parent)

    def _copy_aside_as(self, path: Path, what: str) -> None:
        target = self._target(what)
        if not target.exists():
            write_new_file(target, path.read_bytes())
            sync_folder(target.parent)

    def _where(self, what: str) -> str:
        kept = self._aside / what
        return f"the damaged one is {kept}" if (self._root / kept).exists() else "the old one is lost"


def _report_of(record: ModelRecord) -> bytes:
    model = record.metadata
    report = Report(metrics=model.metrics, columns={}, rows={"total": model.n_rows}, warnings=model.warnings)
    return report.model_dump_json().encode()


def _description_path(record: ModelRecord) -> str:
    return f"artifacts/{record.metadata.model_id}/{DESCRIPTION_FILE}"


def _description(record: ModelRecord) -> bytes:
    return description_file(record.with_metadata(version=0, status="active"))
