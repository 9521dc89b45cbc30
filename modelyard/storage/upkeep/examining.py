"""Examine a yard on servers: its documents, every file of every model, the series, the audit, and unnamed files.

It reads and reports, beside servers. What PostgreSQL's own files are worth is for its own tools.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from modelyard.access.signing import SigningKeys
from modelyard.access.verification import NO_KEY
from modelyard.errors import DataLoss
from modelyard.storage.collections.audit import AUDIT, AuditCollection
from modelyard.storage.collections.models import MODELS
from modelyard.storage.opening import Engines
from modelyard.storage.protocols import Series
from modelyard.storage.upkeep import doctor
from modelyard.storage.upkeep.doctor import Examination, Finding


def examine(engines: Engines, *, signing: SigningKeys | None = None) -> Examination:
    """Examine a yard. With `signing` also whether the signatures hold.

    Raises NoYard if there is none, Unavailable, FailedPrecondition if a newer release wrote it.
    """
    try:
        documents = engines.documents()
    except DataLoss as damage:
        return Examination(0, [Finding("database", "the database", damage.detail)])
    with closing(documents):
        artifacts = engines.artifacts()
        ids = artifacts.model_ids()  # before the documents: what is published meanwhile is named there
        settled = [model_id for model_id in ids if documents.get(MODELS, model_id) or artifacts.is_settled(model_id)]
        collections, _ = documents.snapshot()
        findings = doctor.of_documents(artifacts, collections, signing)
        gone = {finding.model_id for finding in findings if finding.kind == "model"}
        deleted = {model_id for model_id in gone if model_id and documents.get(MODELS, model_id) is None}
        findings = [finding for finding in findings if finding.model_id not in deleted]
        findings += doctor.unnamed(artifacts, settled, collections)
        findings += _series(engines.series())
        signer = None if signing is None else signing.of(AUDIT)
        flaws = AuditCollection(documents, engines.ledger(), signer=signer).verify().flaws
        findings += [doctor.audit_finding(flaw) for flaw in flaws if flaw.problem != NO_KEY]
    return Examination(len(collections.get(MODELS, {})), findings)


def _series(series: Series) -> Iterator[Finding]:
    """Find damaged streams, each by its first damaged entry."""
    for stream in series.streams():
        try:
            for _ in series.scan(stream):
                pass
        except DataLoss as error:
            yield Finding("series", f"series/{stream}", error.detail)
