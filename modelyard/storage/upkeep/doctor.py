"""Examine a yard: its documents, every file of every model, the series, the audit, and files that no document names.

It reads and reports, beside servers; `repair` mends. What PostgreSQL's own files are worth is for its own tools.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import orjson

from modelyard.access.audit import Link
from modelyard.access.signing import SigningKeys
from modelyard.access.verification import NO_KEY, NOT_SIGNED, Flaw
from modelyard.errors import DataLoss
from modelyard.storage.artifacts.model_files import (
    DESCRIPTION_FILE,
    DRIFT_FILE,
    REPORT_FILE,
    ROWS_FILE,
    VALIDATION_FILE,
)
from modelyard.storage.collections.alias_index import ALIASES
from modelyard.storage.collections.answers import stream_owner
from modelyard.storage.collections.audit import AUDIT, link_in, verified
from modelyard.storage.collections.drift import DRIFT, DriftCollection
from modelyard.storage.collections.job_index import JOBS, is_alive
from modelyard.storage.collections.models import (
    MODELS,
    TOMBSTONES,
    ModelRecord,
    described_record,
    last_versions,
    model_record,
    numbered_models,
)
from modelyard.storage.collections.signatures import Signatures
from modelyard.storage.folder import Folder
from modelyard.storage.memory import COMING, PLACE, check_whole
from modelyard.storage.opening import Engines
from modelyard.storage.protocols import ArtifactGone, Artifacts, Collections, Series
from modelyard.storage.sealing import is_sealed

BURIED = "left of a model deleted for good"
FORGOTTEN = "kept answers of a model deleted for good"
ORDER = "given to a run that has ended, or never began"
LOST_COUNTS = "is damaged: what a process had counted in an hour is lost"
UNFINISHED = "files that never became a model's"

Kind = Literal[
    "database",
    "document",
    "number",
    "model",
    "report",
    "validation",
    "drift",
    "rows",
    "signature",
    "description",
    "orphan",
    "leftover",
    "outbox",
    "series",
    "alias",
    "audit",
]

_MENDED_ALONE: dict[str, Kind] = {
    REPORT_FILE: "report",
    VALIDATION_FILE: "validation",
    DRIFT_FILE: "drift",
    ROWS_FILE: "rows",
}
"""The files without which a model still answers."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong in a yard.

    `what` names it (a path below the folder or the bucket, a name, a model id). `harmless` is what a crash leaves and
    `gc` removes. `done` says what a repair did about it.
    """

    kind: Kind
    what: str
    problem: str
    model_id: str | None = None
    harmless: bool = False
    done: str | None = None

    def mended(self, done: str) -> Finding:
        """Return the finding with what was done about it."""
        return replace(self, done=done)


@dataclass(frozen=True, slots=True)
class Examination:
    """How many models were examined, and what was found."""

    models: int
    findings: list[Finding]

    @property
    def is_sound(self) -> bool:
        """Whether nothing is damaged or lost, or is so no longer."""
        return all(finding.harmless or finding.done for finding in self.findings)


def examine(engines: Engines, *, signing: SigningKeys | None = None, settled: Container[str] = ()) -> Examination:
    """Examine a yard; servers go on meanwhile. With `signing` also whether the signatures hold.

    Files of models that no document names are left out if they may be about to be named, and not `settled`. Raises
    NoYard if there are neither documents nor models, Unavailable if it cannot be read, FailedPrecondition if a newer
    release wrote it.
    """
    engines.require_yard()
    try:
        with engines.locked(for_reading=True):
            artifacts = engines.artifacts()
            ids = artifacts.model_ids()  # before the documents: what is published meanwhile is named there
            kept = engines.spools().left()
            database = engines.salvaged()
        documents = database.collections
        check_whole(documents.get(COMING, {}).get(PLACE))
        orders = [job_id for job_id in kept if not is_alive(documents.get(JOBS, {}).get(job_id))]
        findings = [Finding("database", database.what, problem) for problem in database.damage]
        findings += of_documents(artifacts, documents, signing)
        if any(finding.kind == "model" for finding in findings):
            findings = _without_deleted(engines, findings)
        findings += _unnamed(artifacts, ids, documents, settled)
        if isinstance(engines, Folder):
            findings += _outbox(engines.outbox)
        findings += _series(engines.series(), documents)
        findings += _counts(engines)
        findings += [Finding("leftover", f"jobs/{job_id}", ORDER, harmless=True) for job_id in orders]
        findings += _audit(engines, documents, signing)
    finally:
        engines.close()
    return Examination(len(documents.get(MODELS, {})), findings)


def of_documents(artifacts: Artifacts, documents: Collections, signing: SigningKeys | None) -> list[Finding]:
    """Find what is wrong with numbers, models and aliases, after reading every file of every model."""
    findings = list(_numbers(documents))
    for model_id, raw in documents.get(MODELS, {}).items():
        findings += _model(artifacts, Signatures(signing), model_id, raw)
    broken = {finding.model_id for finding in findings if finding.kind in ("model", "document")}
    return [*findings, *_aliases(documents, broken)]


def orphan(artifacts: Artifacts, model_id: str) -> ModelRecord:
    """Return what an unnamed model's own folder says of it, after its files were found right. Raises DataLoss."""
    try:
        record = described_record(model_id, artifacts.read(model_id, DESCRIPTION_FILE, None))
        for _, damage in damaged_files(artifacts, record):
            raise damage
    except ArtifactGone as gone:
        raise DataLoss(f"{gone} is missing") from None
    return record


def orphan_in_words(artifacts: Artifacts, model_id: str) -> str:
    """Say what there is under the id of an unnamed model."""
    try:
        name = orphan(artifacts, model_id).metadata.name
    except DataLoss as error:
        return f"named by no document, and {error.detail}"
    return f"a whole model of {name!r} that no document names"


def damaged_files(artifacts: Artifacts, record: ModelRecord) -> Iterator[tuple[str, ArtifactGone | DataLoss]]:
    """Yield the names of a model's files that are missing or damaged, after reading each through."""
    for name, expected in record.files.items():
        try:
            artifacts.read(record.metadata.model_id, name, expected)
        except (ArtifactGone, DataLoss) as damage:
            yield name, damage


def _numbers(documents: Collections) -> Iterator[Finding]:
    """Find names whose counter would give a number out twice, and numbers that were."""
    counters = last_versions(documents)
    taken: dict[tuple[str, int], str] = {}
    for model_id, name, version in numbered_models(documents):
        if version > counters.get(name, 0):
            counters[name] = version
            yield Finding("number", name, f"its counter is behind its version {version}")
        if (other := taken.setdefault((name, version), model_id)) != model_id:
            yield Finding("number", f"{name}:{version}", f"is the number of both {other} and {model_id}")


def _aliases(documents: Collections, broken: Container[str | None]) -> Iterator[Finding]:
    """Find aliases whose model is not there, or is one of the broken ones, which a repair sets aside."""
    for reference, raw in documents.get(ALIASES, {}).items():
        model_id = orjson.loads(raw)["model_id"]
        if model_id is not None and (model_id in broken or model_id not in documents.get(MODELS, {})):
            yield Finding("alias", reference, f"points to model {model_id}, which cannot be used")


def _model(artifacts: Artifacts, signatures: Signatures, model_id: str, raw: bytes) -> Iterator[Finding]:
    try:
        record = model_record(model_id, raw)
    except DataLoss as error:
        yield Finding("document", f"models/{model_id}", error.detail, model_id)
        return
    if (problem := signatures.problem(record)) is not None:
        yield Finding(
            "signature", f"models/{model_id}", f"{record.metadata.name}:{record.metadata.version} {problem}", model_id
        )
    for name, damage in damaged_files(artifacts, record):
        yield Finding(_MENDED_ALONE.get(name, "model"), _path(model_id, name), _problem(damage), model_id)
    try:
        described_record(model_id, artifacts.read(model_id, DESCRIPTION_FILE, None))
    except (ArtifactGone, DataLoss) as error:
        yield Finding("description", _path(model_id, DESCRIPTION_FILE), _problem(error), model_id)


def _without_deleted(engines: Engines, findings: list[Finding]) -> list[Finding]:
    """Leave out models that were deleted for good while their files were read."""
    with engines.locked(for_reading=True):
        models = engines.salvaged().collections.get(MODELS, {})
    return [finding for finding in findings if finding.model_id is None or finding.model_id in models]


def _unnamed(
    artifacts: Artifacts, ids: list[str], documents: Collections, settled: Container[str]
) -> Iterator[Finding]:
    """Find files of models that no document names."""
    for model_id in ids:
        if model_id in documents.get(MODELS, {}):
            continue
        if model_id in documents.get(TOMBSTONES, {}):
            yield Finding("leftover", _path(model_id), BURIED, model_id, harmless=True)
        elif model_id in settled or artifacts.is_settled(model_id):
            yield Finding("orphan", _path(model_id), orphan_in_words(artifacts, model_id), model_id)
    for folder in artifacts.temporaries():
        yield Finding("leftover", f"artifacts/{folder.name}", UNFINISHED, harmless=True)


def _outbox(folder: Path) -> Iterator[Finding]:
    """Find damaged records of what a tracker has not been told; those of models that are there are made anew."""
    for path in sorted(folder.glob("*.json")):
        if path.stem == "state":
            continue
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue  # told meanwhile
        if not is_sealed(content, path.stem.encode()):
            yield Finding("outbox", f"outbox/{path.name}", "is damaged: its checksum does not hold")


def _series(series: Series, documents: Collections) -> Iterator[Finding]:
    """Find damaged pieces of series, and streams of models that are gone."""
    for piece, problem, is_damage in series.problems():
        yield Finding("series", f"series/{piece}", problem, harmless=not is_damage)
    for stream in forgotten_streams(series, documents):
        yield Finding("leftover", f"series/{stream}", FORGOTTEN, harmless=True)


def _counts(engines: Engines) -> Iterator[Finding]:
    """Find damaged counts of an hour."""
    for name in DriftCollection(engines.series(), engines.counts(), engines).damaged():
        yield Finding("leftover", f"{DRIFT}/{name}.json", LOST_COUNTS, harmless=True)


def forgotten_streams(series: Series, documents: Collections) -> Iterator[str]:
    """Yield the streams of kept answers and outcomes whose models were deleted for good."""
    for stream in series.streams():
        if stream_owner(stream) in documents.get(TOMBSTONES, {}):
            yield stream


def audit_finding(flaw: Flaw) -> Finding:
    """Return what is wrong with the audit as a finding."""
    return Finding(
        "signature" if flaw.problem == NOT_SIGNED else "audit", f"audit entries {flaw.numbers}", flaw.problem
    )


def _audit(engines: Engines, documents: Collections, signing: SigningKeys | None) -> Iterator[Finding]:
    """Find entries of the audit that are missing or not what was written; signed ones only with a key."""

    def end_now() -> Link | None:
        with engines.locked(for_reading=True):
            return link_in(engines.salvaged().collections)

    signer = None if signing is None else signing.of(AUDIT)
    for flaw in verified(engines.ledger(), signer, link_in(documents), end_now).flaws:
        if flaw.problem != NO_KEY:
            yield audit_finding(flaw)


def _path(model_id: str, *name: str) -> str:
    return "/".join(("artifacts", model_id, *name))


def _problem(error: ArtifactGone | DataLoss) -> str:
    return (
        "is missing" if isinstance(error, ArtifactGone) else error.detail.partition(" is damaged: ")[2] or error.detail
    )
