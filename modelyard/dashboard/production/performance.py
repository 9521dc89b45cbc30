"""How good answers were, week by week, by version and alias, and what that says in words."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from modelyard.dashboard import address, formats, session
from modelyard.dashboard.as_decided import is_decided
from modelyard.dashboard.charts import draw
from modelyard.dashboard.charts.life import Point, over_time
from modelyard.dashboard.report import metric_title
from modelyard.dashboard.texts import t
from modelyard.schemas import Freshness, ModelMetadata, Performance, WeekPerformance, interval_of, meaning

_BADGES: dict[Freshness, str] = {"unknown": "gray", "drifting": "orange", "stale": "red", "fresh": "green"}
_ICONS: dict[Freshness, str] = {
    "unknown": ":material/help:",
    "drifting": ":material/trending_flat:",
    "stale": ":material/warning:",
    "fresh": ":material/check_circle:",
}


def ask_performance(name: str) -> Performance:
    """Ask how good the answers of all versions of a name were."""
    return session.yard().get_performance(name)


def say_status(found: Performance, model: ModelMetadata, alias: str | None) -> None:
    """Say in a word and a sentence how a version fares, by its newest week that can tell, as asked by the alias."""
    newest = _telling(found.weeks, model, alias)
    status: Freshness = "unknown" if newest is None else newest.status
    badge = f":{_BADGES[status]}-badge[{_ICONS[status]} {t(f'life.{status}')}]"
    words = t("life.none_yet" if found.keep_answers else "life.none_known")
    st.markdown(f"{badge} {words if newest is None else _in_words(newest, model)}")


def _telling(weeks: Iterable[WeekPerformance], model: ModelMetadata, alias: str | None) -> WeekPerformance | None:
    """Return what tells most of a version: what was asked by the alias, if anything was; a week with enough outcomes.

    None if nothing that it answered was kept.
    """
    own = [week for week in weeks if week.model_id == model.model_id]
    asked = [week for week in own if week.alias == alias] or own
    known = [week for week in asked if week.status != "unknown"] or asked
    return max(known, key=lambda week: (week.week, week.outcomes), default=None)


def _in_words(week: WeekPerformance, model: ModelMetadata) -> str:
    said = {"week": week.week, "outcomes": formats.count(week.outcomes), "rows": formats.count(week.rows)}
    if week.status == "unknown":
        return t("life.few_outcomes", **said)
    if week.status == "drifting":
        return t("life.is_drifting" if week.outcomes else "life.is_drifting_unjudged", **said)
    telling = "rmse" if model.task == "regression" else "log_loss"
    now = formats.metric_with_interval(telling, week.metrics)
    then = formats.metric_with_interval(f"validation_{telling}", model.metrics)
    key = "life.is_stale" if week.status == "stale" else "life.is_fresh"
    return t(key, metric=metric_title(telling), now=now, then=then, **said)


def show_performance(found: Performance, model: ModelMetadata) -> None:
    """Show a metric by week, a line for each version and alias, over what the model's validation promised."""
    metrics = [name for name in _metrics(found.weeks) if meaning(name).is_value]
    if not metrics:
        st.caption(t("life.no_outcomes"))
        if found.weeks:
            _show_table(found.weeks, [])
        return
    metric = st.selectbox(
        t("life.metric"), metrics, format_func=metric_title, **address.bound("metric", metrics[0], allowed=metrics)
    )
    points = list(_points(found.weeks, metric))
    if points:
        expected = _promised(metric, model)
        chart = over_time(points, metric_title(metric), share=formats.is_share(metric), expected=expected)
        draw(chart, t("life.performance"))
        st.caption(t("life.weeks_help") + (" " + t("life.band", version=model.version) if expected else ""))
    _show_table(found.weeks, metrics)


def _promised(metric: str, model: ModelMetadata) -> tuple[float, float] | None:
    """Return a metric's interval in validation; None if that was counted by other answers than the model gives."""
    if metric == "accuracy" and is_decided(model):
        return None
    return interval_of(f"validation_{metric}", model.metrics)


def _metrics(weeks: Iterable[WeekPerformance]) -> list[str]:
    return list(dict.fromkeys(name for week in weeks for name, value in week.metrics.items() if value is not None))


def _points(weeks: list[WeekPerformance], metric: str) -> Iterable[Point]:
    """Yield the weeks, the oldest first."""
    for week in reversed(weeks):
        value = week.metrics.get(metric)
        if value is not None:
            low, high = interval_of(metric, week.metrics) or (None, None)
            yield Point(week.week, value, low, high, _line(week))


def _line(week: WeekPerformance) -> str:
    return f"v{week.version}" if week.alias is None else f"v{week.version} @{week.alias}"


def _show_table(weeks: list[WeekPerformance], metrics: list[str]) -> None:
    st.table(
        {
            t("life.week"): [week.week for week in weeks],
            t("column.version"): [formats.escaped(_line(week)) for week in weeks],
            t("life.rows"): [formats.count(week.rows) for week in weeks],
            t("life.outcomes"): [formats.count(week.outcomes) for week in weeks],
            **{
                metric_title(name): [formats.metric_with_interval(name, week.metrics) for week in weeks]
                for name in metrics
            },
            t("drift.status"): [t(f"life.{week.status}") for week in weeks],
        },
        hide_index=True,
        border="horizontal",
    )
