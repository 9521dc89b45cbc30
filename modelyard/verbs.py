"""The verbs: what can be done with a yard. The core and every client have exactly these."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Protocol, Self

from modelyard.schemas import (
    AddedOutcomes,
    AliasHistory,
    AliasList,
    AliasRequest,
    AuditPage,
    AuditQuery,
    CheckRequest,
    Decision,
    DecisionReport,
    DefaultAlias,
    Drift,
    DriftQuery,
    EvaluateRequest,
    EvaluationPage,
    EvaluationQuery,
    ExplainRequest,
    Explanations,
    Health,
    Job,
    JobPage,
    JobQuery,
    KeepAnswersRequest,
    KeptName,
    KeyList,
    KeyRequest,
    ModelClassInfo,
    ModelHistory,
    ModelMetadata,
    ModelPage,
    ModelQuery,
    MovedAlias,
    NamePage,
    NameQuery,
    NewKey,
    OutcomesRequest,
    Performance,
    PerformanceQuery,
    Predictions,
    PredictRequest,
    Report,
    RetrainRequest,
    SearchRequest,
    TableCheck,
    TableEvaluation,
    TrainRequest,
    UpdateRequest,
    Whoami,
)


class Verbs(Protocol):
    """One yard, whatever door it is reached by. A `reference` is a model id, a name, `name:version` or `name@alias`.

    Every verb raises the errors of `modelyard.errors`, the same ones behind every door.
    """

    def train(self, request: TrainRequest, *, idempotency_key: str | None = None) -> ModelMetadata:
        """Train a new model. With a key seen in the last 24 hours, answer with that request's model instead."""
        ...

    def retrain(self, request: RetrainRequest, *, idempotency_key: str | None = None) -> ModelMetadata:
        """Train the next version of an existing model on a new table."""
        ...

    def submit_training(self, request: TrainRequest, *, idempotency_key: str | None = None) -> Job:
        """Order a new model and return its job at once; with a key seen in the last 24 hours, that request's job."""
        ...

    def submit_retraining(self, request: RetrainRequest, *, idempotency_key: str | None = None) -> Job:
        """Order the next version of an existing model and return its job at once."""
        ...

    def search(self, request: SearchRequest, *, idempotency_key: str | None = None) -> ModelMetadata:
        """Try many model classes and hyperparams on a table, and return the best as a model, alone or an ensemble."""
        ...

    def submit_search(self, request: SearchRequest, *, idempotency_key: str | None = None) -> Job:
        """Order a search and return its job at once; with a key seen in the last 24 hours, that request's job."""
        ...

    def get_job(self, job_id: str) -> Job:
        """Return a job as it is now, with its progress."""
        ...

    def list_jobs(self, query: JobQuery | None = None) -> JobPage:
        """List jobs, newest first; without a query the 50 newest."""
        ...

    def cancel_job(self, job_id: str) -> Job:
        """Cancel a job that has not ended, whichever process runs it: it will have no model."""
        ...

    def watch_job(self, job_id: str) -> Iterator[Job]:
        """Yield a job as it is now, and again whenever it has changed, until it has ended."""
        ...

    def check_table(self, request: CheckRequest) -> TableCheck:
        """Read a table as a training would, and say what its owner should know before one. Nothing is kept."""
        ...

    def predict(self, request: PredictRequest) -> Predictions:
        """Predict the label of each row, or for regression its number."""
        ...

    def explain(self, request: ExplainRequest) -> Explanations:
        """Say how much each column moved the score of each row. Raises FailedPrecondition if the class cannot."""
        ...

    def evaluate(self, request: EvaluateRequest) -> TableEvaluation:
        """Judge up to ten models by a labelled table and compare each pair; it is kept and listed with each model.

        Without a table they are judged by the rows held out of all of them, if all were trained on one table; that is
        not kept.
        """
        ...

    def list_evaluations(self, reference: str, query: EvaluationQuery | None = None) -> EvaluationPage:
        """List the evaluations of a model, newest first, without a query the 50 newest; of a deleted model, too.

        Of `name@alias` they are those in which a model was asked by that alias, whichever version it was then.
        """
        ...

    def delete(self, reference: str, *, hard: bool = False) -> ModelMetadata | None:
        """Retire a model: soft, it can be restored; hard, its artifact is gone for good and None comes back."""
        ...

    def restore(self, reference: str) -> ModelMetadata:
        """Make a soft-deleted model active again."""
        ...

    def update_model(self, reference: str, changes: UpdateRequest) -> ModelMetadata:
        """Replace the tags or the description of a model, a deleted one too; the same once more changes nothing."""
        ...

    def list_models(self, query: ModelQuery | None = None) -> ModelPage:
        """List models, newest first; without a query the 50 newest active ones."""
        ...

    def list_names(self, query: NameQuery | None = None) -> NamePage:
        """List models by their names, each with its line of versions; without a query the 25 newest active ones."""
        ...

    def get_model(self, reference: str) -> ModelMetadata:
        """Return what is known of a model."""
        ...

    def list_model_classes(self) -> list[ModelClassInfo]:
        """List the algorithms there are, with the schemas of their hyperparams."""
        ...

    def get_report(self, reference: str) -> Report:
        """Return what the evaluation of a model showed."""
        ...

    def set_decision(self, reference: str, decision: Decision) -> ModelMetadata:
        """Have a model's answers obey a decision from now on, without training anew. Raises FailedPrecondition.

        That is raised if its threshold is to be found on the validation, and there is none or none does what is asked.
        """
        ...

    def get_decision(self, reference: str, label: str | None = None) -> DecisionReport:
        """Return the decision of a classification model, and what it and other thresholds do on the validation.

        The thresholds are of the class `label`, as text; left out, of the decision's, or the second of two. Raises
        InvalidRequest for a label that is none of the model's classes.
        """
        ...

    def get_history(self, reference: str) -> ModelHistory:
        """Return what happened to a model, when and by which verb; of one deleted for good, too."""
        ...

    def get_drift(self, reference: str, query: DriftQuery | None = None) -> Drift:
        """Tell how far what a model was asked in the last hours, 24 if nothing is said, is from its training."""
        ...

    def get_artifact(self, reference: str) -> bytes:
        """Return a model's `.pkl`, checked against its SHA-256."""
        ...

    def set_alias(self, name: str, alias: str, request: AliasRequest) -> MovedAlias:
        """Point an alias of a name at one of its active versions: `name@alias` means that one from now on, everywhere.

        Raises Aborted if it is not where the request expects it, PermissionDenied for a protected alias.
        """
        ...

    def delete_alias(self, name: str, alias: str) -> None:
        """Delete an alias; its version stays. Raises AliasNotFound."""
        ...

    def list_aliases(self, name: str) -> AliasList:
        """List the aliases of a name, and where they point."""
        ...

    def get_alias_history(self, name: str, alias: str) -> AliasHistory:
        """Return the moves of an alias, the first one first; of a deleted alias, too. Raises AliasNotFound."""
        ...

    def get_default_alias(self) -> DefaultAlias:
        """Return the alias that a name alone means if it has it."""
        ...

    def set_default_alias(self, default: DefaultAlias) -> DefaultAlias:
        """Set the alias that a name alone means if it has it, for the whole yard."""
        ...

    def set_keep_answers(self, name: str, request: KeepAnswersRequest) -> KeptName:
        """Keep all predictions by a name from now on, or no longer, so that outcomes can be joined to them.

        Raises FailedPrecondition if the yard keeps no answers at all.
        """
        ...

    def add_outcomes(self, request: OutcomesRequest) -> AddedOutcomes:
        """Join what really happened to the answers that were kept. Of several outcomes for a row the last counts.

        A name alone means the answers of all its versions. Raises FailedPrecondition if the yard keeps no answers.
        """
        ...

    def get_performance(self, reference: str, query: PerformanceQuery | None = None) -> Performance:
        """Say how good the answers of a model were, by the week in which they were asked for and the alias.

        A name alone means all its versions.
        """
        ...

    def create_key(self, request: KeyRequest) -> NewKey:
        """Make a key for a person or a program, and show it: this once. Raises AlreadyExists."""
        ...

    def list_keys(self) -> KeyList:
        """List the keys that were not revoked, by name, never what is shown to a server."""
        ...

    def revoke_key(self, name: str) -> None:
        """Make a key invalid for the next request of every process. Raises KeyNotFound."""
        ...

    def rotate_key(self, name: str, *, grace_s: float = 0.0) -> NewKey:
        """Put another key in the place of one, which stays valid for `grace_s` seconds more. Raises KeyNotFound."""
        ...

    def list_audit(self, query: AuditQuery | None = None) -> AuditPage:
        """List what was done and refused, newest first; without a query the 50 newest entries."""
        ...

    def whoami(self) -> Whoami:
        """Say who calls, in which role, and limited to which models."""
        ...

    def health(self) -> Health:
        """Say whether the yard can serve."""
        ...

    def close(self) -> None:
        """Let go of files, connections and memory."""
        ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
