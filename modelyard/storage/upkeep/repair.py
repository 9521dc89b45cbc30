"""Mend what `doctor` finds: broken things are set aside, and rebuilt if possible.

Nothing is ever deleted. Each step is crash-safe by itself, and a repair that was cut short is finished by the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import orjson

from modelyard.access.audit import deed
from modelyard.access.signing import SigningKeys
from modelyard.access.verification import ENTRIES, LOST, NO_KEY, NOT_SIGNED, REPAIR
from modelyard.errors import DataLoss
from modelyard.schemas import Report
from modelyard.storage.artifacts.model_files import (
    DESCRIPTION_FILE,
    DRIFT_FILE,
    REPORT_FILE,
    ROWS_FILE,
    VALIDATION_FILE,
)
from modelyard.storage.collections import history
from modelyard.storage.collections.alias_index import ALIASES
from modelyard.storage.collections.aliases import put_alias
from modelyard.storage.collections.audit import AUDIT, END, AuditCollection, last_entry, link_in
from modelyard.storage.collections.models import (
    MODELS,
    TOMBSTONES,
    ModelRecord,
    description_file,
    model_document,
    model_record,
    named,
    next_version,
    numbered_models,
    put_last_version,
)
from modelyard.storage.collections.signatures import Signatures
from modelyard.storage.memory import COMING, PLACE, Changes, Salvaged, check_whole
from modelyard.storage.opening import Engines
from modelyard.storage.protocols import StoredFile, Transaction, stored
from modelyard.storage.upkeep import doctor
from modelyard.storage.upkeep.doctor import Examination, Finding

_DATABASE_LOST = "the database was written anew from what was whole; what entries before tell of may be lost"


def repair(engines: Engines, *, signing: SigningKeys | None = None) -> Examination:
    """Examine a yard and mend it as far as possible; servers may go on meanwhile.

    A model that goes on with other files is signed anew if its signature held; without `signing` it has none then.
    Raises NoYard if there are neither documents nor models, Unavailable if it cannot be read or written,
    FailedPrecondition if a newer release wrote it.
    """
    return _Repair(engines, signing).run()


class _Repair:
    def __init__(self, engines: Engines, signing: SigningKeys | None) -> None:
        self._engines = engines
        self._signing = signing
        self._signatures = Signatures(signing)
        self._now = datetime.now(UTC)
        self._aside = engines.quarantine(self._now)
        self._unnamed: set[str] = set()
        """Models whose documents this repair has taken out: their files are nobody else's."""

    def run(self) -> Examination:
        self._engines.require_yard()
        done = self._mend_documents()
        self._artifacts = self._engines.artifacts()
        self._database = self._engines.documents()
        signer = None if self._signing is None else self._signing.of(AUDIT)
        self._audit = AuditCollection(self._database, self._engines.ledger(), signer=signer)
        try:
            if done:
                self._audit.keep([deed(REPAIR, {"problem": _DATABASE_LOST})])
            done += self._go_on_with_audit()  # before anything is added to it
            # Twice: a document that was dropped leaves files that may be brought back.
            for _ in range(2):
                done += self._mend_numbers()  # before numbers are given out
                done += self._mend_findings()
            done += self._note_flaws()
            left = self._examine()
            return Examination(left.models, [*done, *left.findings])
        finally:
            self._database.close()

    def _examine(self) -> Examination:
        return doctor.examine(self._engines, signing=self._signing, settled=self._unnamed)

    def _mend_findings(self) -> Iterator[Finding]:
        steps: dict[str, Callable[[Finding], Finding]] = {
            "document": self._drop_document,
            "model": self._set_model_aside,
            "report": self._rebuild_report,
            "validation": partial(self._leave_out, VALIDATION_FILE, "its validation predictions"),
            "drift": partial(self._leave_out, DRIFT_FILE, "what drift is told by"),
            "rows": partial(self._leave_out, ROWS_FILE, "the hashes of its training rows"),
            "description": self._rebuild_description,
            "orphan": self._bring_back,
            "outbox": self._set_record_aside,
            "series": self._mend_series,
            "alias": self._delete_alias,
        }
        set_aside: set[str | None] = set()
        for finding in self._examine().findings:
            if finding.kind in steps and (finding.model_id is None or finding.model_id not in set_aside):
                yield steps[finding.kind](finding)
                if finding.kind == "model":
                    set_aside.add(finding.model_id)

    def _mend_documents(self) -> list[Finding]:
        """Go on with the documents that can be read, and set the damaged ones aside."""
        with self._engines.locked():
            found = self._engines.salvaged()
            check_whole(found.collections.get(COMING, {}).get(PLACE))
            if not found.damage:
                return []
            said = self._engines.mend_documents(found, self._audits_end(found), self._aside)
        self._unnamed = {key for collection, key in found.lost if collection == MODELS}
        return [Finding("database", found.what, problem, done=said) for problem in found.damage]

    def _audits_end(self, found: Salvaged) -> Changes:
        """Let the documents that are left know of all entries of the audit, and give no number of theirs out again."""
        last = last_entry(self._engines.ledger(), link_in(found.collections))
        if last is None:
            return {}
        found.seq = max(found.seq, last.transaction)
        return {(AUDIT, END): orjson.dumps(last.end)}

    def _mend_numbers(self) -> Iterator[Finding]:
        """Move counters up to the versions there are."""
        found = self._examine()
        for finding in found.findings:
            if finding.kind == "number" and ":" not in finding.what:
                with self._database.transaction() as transaction:
                    last = self._last_version(finding.what)
                    put_last_version(transaction, finding.what, last)
                    self._audit.note(transaction, REPAIR, {"name": finding.what})
                yield finding.mended(f"moved to {last}")

    def _last_version(self, name: str) -> int:
        documents = {collection: dict(self._database.documents(collection)) for collection in (MODELS, TOMBSTONES)}
        return max(version for _, numbered, version in numbered_models(documents) if numbered == name)

    def _drop_document(self, finding: Finding) -> Finding:
        assert finding.model_id is not None
        with self._database.transaction() as transaction:
            raw = self._database.raw(MODELS, finding.model_id)
            transaction.remove(MODELS, finding.model_id)
            self._audit.note(transaction, REPAIR, {"model_id": finding.model_id})
            transaction.before_commit(lambda: self._aside.write(finding.what, raw or b""))
        self._unnamed.add(finding.model_id)
        self._database.compact()  # the line that put it stops every reader who keeps an index
        return finding.mended(f"set aside as {self._aside.path(finding.what)}")

    def _delete_alias(self, finding: Finding) -> Finding:
        """Delete an alias that points nowhere: what it meant is for a person to say."""
        name, _, alias = finding.what.partition("@")
        with self._database.transaction() as transaction:
            before = transaction.get(ALIASES, finding.what)
            if before is None or before["model_id"] is None or transaction.get(MODELS, before["model_id"]) is not None:
                return finding.mended("is right by now")
            put_alias(transaction, name, alias, before["moves"], None)
            self._audit.note(transaction, REPAIR, {"alias": finding.what})
        return finding.mended("deleted; its moves are kept")

    def _set_model_aside(self, finding: Finding) -> Finding:
        record = self._record_now(finding)
        if record is None or not any(doctor.damaged_files(self._artifacts, record)):
            return finding.mended("is right by now")
        what = f"artifacts/{record.metadata.model_id}"
        self._aside.prepare(what)
        with self._database.transaction() as transaction:
            if (record := self._record(finding)) is None:
                return finding.mended("is gone by now")
            history.bury(transaction, record, "repair", self._now)
            self._audit.note(transaction, REPAIR, named(record))
            described = {DESCRIPTION_FILE: description_file(record)}
            transaction.before_commit(lambda: self._aside.move(what, described))
        return finding.mended(f"the model is set aside in {self._aside.path(what)}")

    def _rebuild_report(self, finding: Finding) -> Finding:
        """Put a report with the metrics of the metadata in the place of a damaged one."""
        with self._database.transaction() as transaction:
            record = self._record(finding)
            if record is None:
                return finding.mended("its model is gone by now")
            content = _report_of(record)
            rebuilt = self._put_files(transaction, record, {**record.files, REPORT_FILE: stored(content)})
            transaction.before_commit(lambda: self._replace(record, REPORT_FILE, content))
        self._replace(rebuilt, DESCRIPTION_FILE, description_file(rebuilt))
        return finding.mended(f"made anew with the metrics alone; {self._old(finding)}")

    def _leave_out(self, file: str, in_words: str, finding: Finding) -> Finding:
        """Let a model go on without a file, which nothing can make anew."""
        with self._database.transaction() as transaction:
            record = self._record(finding)
            if record is None:
                return finding.mended("its model is gone by now")
            files = {name: stands for name, stands in record.files.items() if name != file}
            rebuilt = self._put_files(transaction, record, files)
            transaction.before_commit(lambda: self._aside.copy(finding.what))
        self._replace(rebuilt, DESCRIPTION_FILE, description_file(rebuilt))
        return finding.mended(f"the model goes on without {in_words}; {self._old(finding)}")

    def _put_files(self, transaction: Transaction, record: ModelRecord, files: Mapping[str, StoredFile]) -> ModelRecord:
        rebuilt = self._signatures.sign_like(record, replace(record, files=files)).with_metadata(updated_at=self._now)
        transaction.put(MODELS, record.metadata.model_id, model_document(rebuilt))
        history.note(transaction, rebuilt, "repair", self._now)
        self._audit.note(transaction, REPAIR, named(rebuilt))
        return rebuilt

    def _old(self, finding: Finding) -> str:
        kept = self._aside.has(finding.what)
        return f"the damaged one is {self._aside.path(finding.what)}" if kept else "the old one is lost"

    def _rebuild_description(self, finding: Finding) -> Finding:
        record = self._record_now(finding)
        if record is None:
            return finding.mended("its model is gone by now")
        self._replace(record, DESCRIPTION_FILE, description_file(record))
        return finding.mended("written anew from the database")

    def _replace(self, record: ModelRecord, name: str, content: bytes) -> None:
        """Put a file in the place of a model's, of which a copy is set aside."""
        model_id = record.metadata.model_id
        self._aside.copy(f"artifacts/{model_id}/{name}")
        self._artifacts.replace(model_id, name, content)

    def _bring_back(self, finding: Finding) -> Finding:
        """Name an unnamed model again, as a deleted one: a person decides whether it shall be served."""
        assert finding.model_id is not None
        model_id = finding.model_id
        try:
            record: ModelRecord | None = doctor.orphan(self._artifacts, model_id)
        except DataLoss:
            record = None
            self._aside.prepare(finding.what)
        with self._database.transaction() as transaction:
            if self._database.raw(MODELS, model_id) is not None:
                return finding.mended("is named by now")
            if record is None:
                self._aside.move(finding.what)
                return finding.mended(f"set aside as {self._aside.path(finding.what)}")
            record = self._named_again(transaction, record)
        model = record.metadata
        return finding.mended(f"brought back as {model.name}:{model.version}, deleted: restore it to serve it")

    def _set_record_aside(self, finding: Finding) -> Finding:
        """Let the tracker make the record anew from the database, as it does if there is none."""
        self._aside.move(finding.what)
        return finding.mended(f"set aside as {self._aside.path(finding.what)}; a server makes it anew")

    def _mend_series(self, finding: Finding) -> Finding:
        """Leave of a piece of a series what is whole."""
        with self._engines.locked():
            done = self._engines.series().mend(
                finding.what.removeprefix("series/"), lambda content: self._aside.write(finding.what, content)
            )
        return finding.mended(f"{done}; the old one is {self._aside.path(finding.what)}")

    def _go_on_with_audit(self) -> Iterator[Finding]:
        """Keep the entries of transactions that the database has lost, and go on behind them."""
        for flaw in self._audit.verify().flaws:
            if flaw.problem == LOST:
                with self._database.transaction() as transaction:
                    self._audit.go_on_from_last(transaction)
                    what = {"problem": f"transactions that entries {flaw.numbers} tell of are lost"}
                    self._audit.keep_in(transaction, [deed(REPAIR, what)])
                yield doctor.audit_finding(flaw).mended("they stay, and the audit goes on behind them")

    def _note_flaws(self) -> Iterator[Finding]:
        """Write to the audit what is wrong with it, because nothing can bring that back."""
        for flaw in self._audit.verify().flaws:
            if flaw.problem not in (NO_KEY, NOT_SIGNED):
                self._audit.keep([deed(REPAIR, {ENTRIES: flaw.numbers, "problem": flaw.problem})])
                yield doctor.audit_finding(flaw).mended("the audit says so of itself from now on")

    def _named_again(self, transaction: Transaction, record: ModelRecord) -> ModelRecord:
        version = next_version(transaction, record.metadata.name)
        record = record.with_metadata(version=version, status="deleted", updated_at=self._now)
        transaction.put(MODELS, record.metadata.model_id, model_document(record))
        history.note(transaction, record, "repair", self._now)
        self._audit.note(transaction, REPAIR, named(record))
        return record

    def _record_now(self, finding: Finding) -> ModelRecord | None:
        with self._database.reading():
            return self._record(finding)

    def _record(self, finding: Finding) -> ModelRecord | None:
        assert finding.model_id is not None
        raw = self._database.raw(MODELS, finding.model_id)
        return None if raw is None else model_record(finding.model_id, raw)


def _report_of(record: ModelRecord) -> bytes:
    model = record.metadata
    report = Report(metrics=model.metrics, columns={}, rows={"total": model.n_rows}, warnings=model.warnings)
    return report.model_dump_json().encode()
