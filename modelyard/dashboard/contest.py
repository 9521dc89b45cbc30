"""Trainings side by side: a leaderboard that moves while they run, what their differences show, and which one to keep.

They were ordered together, with the same seed, so the same rows are held out of each. Once they have ended, they are
judged by those rows, pair by pair.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import streamlit as st

from modelyard.dashboard import access, formats, job_words, jobs_under_way, notices, session
from modelyard.dashboard.listing import class_title, key_metric, title
from modelyard.dashboard.paired import by_usual_loss, verdict
from modelyard.dashboard.report import metric_title, say_undecided
from modelyard.dashboard.texts import t
from modelyard.dashboard.training_form import ordered_with
from modelyard.errors import ModelyardError
from modelyard.schemas import (
    USUAL_LOSSES,
    AliasRequest,
    EvaluateRequest,
    Job,
    ModelMetadata,
    PairDifference,
    meaning,
)


def show(jobs: Sequence[Job], put_away: Callable[[], None]) -> None:
    """Show jobs side by side; at their end offer to keep one model, or to go on with the form alone."""
    if not all(job.ended for job in jobs):
        _watch([job.job_id for job in jobs], [jobs])
        return
    models = [session.yard().get_model(job.model_id) for job in jobs if job.model_id is not None]
    models.sort(key=_worth, reverse=True)
    if models:
        _show_board(models)
        active = [model for model in models if model.status == "active"]
        if active:
            _offer_to_keep(active)
    ordered = ordered_with(jobs)
    for job in jobs:
        if job.error is not None:
            st.markdown(jobs_under_way.job_head(job))
            if job.status != "cancelled":
                notices.show_error(job.error.exception(), None if ordered is None else ordered.table)
    if st.button(t("train.another"), icon=":material/add:", key="train-another"):
        put_away()


@st.fragment(run_every=1)
def _watch(job_ids: Sequence[str], asked: list[Sequence[Job]]) -> None:
    """Show the jobs as they run; the whole page runs again once all have ended."""
    with notices.errors_in_place():
        jobs = asked.pop() if asked else [session.yard().get_job(job_id) for job_id in job_ids]
        if all(job.ended for job in jobs):
            st.rerun()
        with st.container(border=True):
            with st.container(horizontal=True, vertical_alignment="center"):
                head = f"**{t('contest.title', n=len(jobs))}**  \n:small[{job_words.table(jobs[0])}]"
                st.markdown(head, width="stretch")
                jobs_under_way.cancel_button(*(job for job in jobs if not job.ended))
            for job in jobs:
                name, progress = st.columns([1, 2], vertical_alignment="center")
                name.markdown(f"{formats.escaped(class_title(job.model_class_key))} {jobs_under_way.badge(job)}")
                with progress:
                    jobs_under_way.show_progress(job)


def _worth(model: ModelMetadata) -> float:
    """Return a number that is higher the better a model is by what tells most of it."""
    name, value = key_metric(model)
    return float("-inf") if value is None else -value if meaning(name).is_loss else value


def _show_board(models: Sequence[ModelMetadata]) -> None:
    st.header(t("contest.board"), anchor=False)
    loss = f"validation_{USUAL_LOSSES[models[0].task]}"
    head = key_metric(models[0])[0]
    best, pairs = models[0], _pairs(models)
    words = {model.model_id: _words(model, best, pairs) for model in models}
    metrics = list(dict.fromkeys(name for name in (head, loss) if name in models[0].metrics))
    columns = {
        t("column.class"): [formats.escaped(class_title(model.model_class_key)) for model in models],
        t("contest.shows"): [words[model.model_id] for model in models],
        **{
            metric_title(name): [formats.metric_with_interval(name, model.metrics) for model in models]
            for name in metrics
        },
        t("column.took"): [formats.duration(model.training_seconds) for model in models],
        t("column.name"): [formats.escaped(title(model)) for model in models],
    }
    st.table(columns, hide_index=True, border="horizontal")
    say_undecided(models)
    st.caption(t("contest.help" if pairs else "contest.no_pairs", metric=metric_title(loss)))


def _words(model: ModelMetadata, best: ModelMetadata, pairs: Mapping[frozenset[str], PairDifference]) -> str:
    """Say how a model compares with the one that looks best."""
    if model is best:
        return t("contest.first")
    if model.status == "deleted":
        return t("status.deleted")
    pair = pairs.get(frozenset((model.model_id, best.model_id)))
    return formats.NOTHING if pair is None else t(f"contest.{verdict(pair, model.model_id)}")


def _pairs(models: Sequence[ModelMetadata]) -> dict[frozenset[str], PairDifference]:
    """Return what the rows held out of all show of each pair, asked for once; nothing if there are no such rows."""
    judged = [model.model_id for model in models if model.status == "active"]
    if len(judged) < 2 or not access.may("evaluate"):
        return {}
    found: dict[tuple[str, ...], Sequence[PairDifference]] = session.current().kept.setdefault("pairs", {})
    key = tuple(sorted(judged))
    if key not in found:
        with suppress(ModelyardError), st.spinner(t("evaluate.asking")):
            found[key] = session.yard().evaluate(EvaluateRequest(model_ids=judged)).pairs
    return {frozenset((pair.a, pair.b)): pair for pair in by_usual_loss(found.get(key, ()), models[0].task)}


def _offer_to_keep(models: Sequence[ModelMetadata]) -> None:
    """Offer to keep one of the models: to open it, to delete the others, to point an alias at it."""
    by_id = {model.model_id: model for model in models}
    titles = {key: f"{class_title(model.model_class_key)} · {title(model)}" for key, model in by_id.items()}
    with st.container(border=True, horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(
            t("contest.keep"),
            list(by_id),
            format_func=lambda key: titles[key],
            key="contest-keep",
        )
        deletes = len(models) > 1 and access.may("delete")
        if deletes:
            deletes = st.checkbox(t("contest.delete_others"), value=True, key="contest-delete")
        alias = _ask_alias(by_id[chosen])
        if st.button(t("contest.keep_it"), type="primary", icon=":material/check:", key="contest-keep-it"):
            with notices.errors_in_place():
                yard = session.yard()
                kept = by_id[chosen]
                if alias is not None:
                    yard.set_alias(kept.name, alias, AliasRequest(version=kept.version))
                for model in models:
                    if deletes and model.model_id != chosen:
                        yard.delete(model.model_id)
                session.go("model", id=chosen)


def _ask_alias(model: ModelMetadata) -> str | None:
    """Ask which alias of its name is to point at a model, if there are any."""
    if not access.may("set_alias"):
        return None
    aliases = [one.alias for one in session.yard().list_aliases(model.name).aliases]
    if not aliases:
        return None
    return st.selectbox(
        t("contest.alias"), aliases, None, placeholder=t("train.promote_none"), key=f"contest-alias-{model.model_id}"
    )
