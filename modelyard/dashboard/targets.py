"""What is to be predicted, labels or numbers, and whether a column can be, judged before anything is sent.

The server decides on its own reading of the table; this counts the labels as they are written.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl
import streamlit as st

from modelyard.dashboard import session
from modelyard.dashboard.charts import draw, target
from modelyard.dashboard.formats import count, escaped, percent
from modelyard.dashboard.profiles import ColumnLook, is_missing, without_missing
from modelyard.dashboard.tables import UNREADABLE, Table
from modelyard.dashboard.texts import t
from modelyard.schemas import MOST_SINGLE_CLASSES, ModelMetadata, TaskName, is_hopeless
from modelyard.tables.missing import column_markers

_MOST_NAMED = 5
_MOST_BARS = 8
_MOST_BINS = 24
_FEW_ROWS = 10
_FEW_LABELS = range(2, 21)
_MANY_CLASSES = 1000
_RARE = 0.1
"""Of two classes, the rarer one has fewer rows than this share: then to always say the other one is nearly right."""


@dataclass(frozen=True, slots=True)
class Labels:
    """How many rows have a label, how many different labels there are, and how many of these occur only once.

    `frequent` has the rows of the most frequent labels.
    """

    rows: int
    classes: int
    single: int
    frequent: tuple[tuple[str, int], ...] = field(default=(), compare=False)

    @property
    def hopeless(self) -> bool:
        """Whether the server would refuse to learn them."""
        return is_hopeless(self.classes, self.single)

    @property
    def thin(self) -> bool:
        """Whether there are many classes of few rows: legal, slow, and rarely worth it."""
        return self.classes > MOST_SINGLE_CLASSES and self.rows < _FEW_ROWS * self.classes


def target_key(table: Table, parent: ModelMetadata | None) -> str:
    """Return the key of the widget that asks for a table's target."""
    return f"target-{table.path.name}-{parent.model_id if parent else ''}"


def task_key(table: Table, column: str) -> str:
    """Return the key of the widget that asks for the task of a target."""
    return f"task-{table.path.name}-{column}"


def ask_task(table: Table, column: str | None, parent: ModelMetadata | None) -> str:
    """Ask whether labels or numbers are to be predicted, what the column looks like first; a parent's task stays."""
    if parent is not None:
        return parent.task
    if column is None:
        return "classification"
    look = _look(table, column)
    is_quantity = look is not None and look.feature_type == "numeric" and look.distinct not in _FEW_LABELS
    tasks: tuple[TaskName, ...] = ("classification", "regression")
    return st.segmented_control(
        t("target.task"),
        tasks,
        default="regression" if is_quantity else "classification",
        required=True,
        format_func=lambda name: t(f"task.{name}"),
        key=task_key(table, column),
        help=t("target.task_help"),
        persist_state="session",
    )


def show_target(table: Table, column: str, task: str, parent: ModelMetadata | None = None) -> bool:
    """Show what a column holds as the target of a task; False if it cannot be learned, or is yet to be confirmed."""
    look = _look(table, column)
    if task != "regression":
        return _show_labels(table, column, look, parent)
    if look is None:
        return True
    if look.distinct < 2:
        st.error(t("target.one_number", column=escaped(column)), icon=":material/block:")
        return False
    st.caption(t("columns.numbers", typical=escaped(look.typical)))
    _draw_numbers(table, column)
    return True


def _look(table: Table, column: str) -> ColumnLook | None:
    return next((look for look in table.columns if look.name == column), None)


def _show_labels(table: Table, column: str, look: ColumnLook | None, parent: ModelMetadata | None) -> bool:
    labels = _counted(table, column)
    if look is None or labels is None:
        return True  # the server says what is wrong, if anything is
    numbers = {"classes": count(labels.classes), "rows": count(labels.rows), "single": count(labels.single)}
    if labels.classes < 2:
        problem = t("target.one_class", column=escaped(column))
    elif labels.hopeless:
        problem = t("target.hopeless", column=escaped(column), **numbers)
    else:
        _draw_labels(labels)
        if not labels.thin and labels.classes <= _MANY_CLASSES:
            return True
        st.warning(
            t("target.thin", classes=numbers["classes"], rows=round(labels.rows / labels.classes)),
            icon=":material/hourglass_top:",
        )
        _offer_others(table, column, look, parent)
        return labels.classes <= _MANY_CLASSES or st.checkbox(
            t("target.anyway"), key=f"target-anyway-{table.path.name}-{column}"
        )
    st.error(problem, icon=":material/block:")
    _offer_others(table, column, look, parent)
    return False


def _draw_labels(labels: Labels) -> None:
    bars = dict(labels.frequent)
    if labels.classes > len(bars):
        bars[t("target.other_labels", n=count(labels.classes - len(bars)))] = labels.rows - sum(bars.values())
    draw(target.labels(bars, labels.rows), t("target.bars"))
    rarest, rows = labels.frequent[-1]
    share = rows / labels.rows
    if labels.classes == 2 and share < _RARE:
        other = percent(1 - share)
        st.caption(f":material/balance: {t('target.rare', label=escaped(rarest), share=percent(share), other=other)}")


def _draw_numbers(table: Table, column: str) -> None:
    present = without_missing(table.column(column)).cast(pl.Float64, strict=False).drop_nulls()
    present = present.filter(present.is_finite())
    if present.n_unique() < 2:
        return
    found = present.hist(bin_count=min(_MOST_BINS, present.n_unique()))
    edges = [float(present.min()), *found["breakpoint"].to_list()]  # type: ignore[arg-type]
    draw(target.numbers(edges, found["count"].to_list()), t("target.bars"))


def _offer_others(table: Table, column: str, look: ColumnLook, parent: ModelMetadata | None) -> None:
    """Offer ways out of a target that cannot be learned: its numbers, or other columns."""
    others = [name for name in better_targets(table) if name != column]
    st.caption(t("target.others") if others else t("target.no_others"))
    with st.container(horizontal=True):
        if parent is None and look.feature_type == "numeric":
            _offer(t("target.as_numbers"), f"fix-task-{column}", task_key(table, column), "regression")
        for name in others:
            _offer(escaped(name), f"fix-target-{name}", target_key(table, parent), name)


def _offer(words: str, key: str, widget: str, value: str) -> None:
    choose = {widget: value}
    st.button(words, key=key, on_click=st.session_state.update, args=(choose,), icon=":material/auto_fix_high:")


def count_labels(table: Table, column: str) -> Labels | None:
    """Count the labels of a column over the whole table; None if the column cannot be read or counted."""
    try:
        labels = without_missing(table.scan().select(column).collect(engine="streaming").to_series())
        sizes = labels.rename("label").value_counts(name="size").sort("size", "label", descending=[True, False])
    except UNREADABLE:
        return None
    written = sizes.head(_MOST_BARS).select(pl.col("label").cast(pl.String), "size").rows()
    return Labels(len(labels), sizes.height, int((sizes["size"] == 1).sum()), tuple(written))


def unanswered(table: Table, column: str, task: str) -> pl.Series:
    """Return for each row whether the server reads its target as missing. Raises what reading a file raises."""
    markers = column_markers(tuple(table.markers), among_numbers=True).texts if task == "regression" else table.markers
    return is_missing(table.scan().select(column).collect(engine="streaming").to_series(), markers)


def better_targets(table: Table) -> list[str]:
    """Name columns of few labels and no gaps; the last first, because most tables end with the answers."""
    fit = [column.name for column in table.columns if column.distinct in _FEW_LABELS and not column.missing]
    return fit[::-1][:_MOST_NAMED]


def _counted(table: Table, column: str) -> Labels | None:
    """Count the labels once a file and column, not at every rerun of the page."""
    counted: dict[tuple[str, str, str], Labels | None] = session.current().kept.setdefault("labels", {})
    key = (table.path.name, repr(table.said), column)
    if key not in counted:
        counted[key] = count_labels(table, column)
    return counted[key]
