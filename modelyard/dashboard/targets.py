"""What is to be predicted, labels or numbers, and whether a column can be, judged before anything is sent.

The server decides on its own reading of the table; this counts the labels as they are written.
"""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from modelyard.dashboard import session
from modelyard.dashboard.formats import count, escaped
from modelyard.dashboard.profiles import ColumnLook, without_missing
from modelyard.dashboard.tables import UNREADABLE, Table
from modelyard.dashboard.texts import t
from modelyard.schemas import MOST_SINGLE_CLASSES, ModelMetadata, TaskName, is_hopeless

_MOST_NAMED = 5
_FEW_ROWS = 10
_FEW_LABELS = range(2, 21)


@dataclass(frozen=True, slots=True)
class Labels:
    """How many rows have a label, how many different labels there are, and how many of these occur only once."""

    rows: int
    classes: int
    single: int

    @property
    def hopeless(self) -> bool:
        """Whether the server would refuse to learn them."""
        return is_hopeless(self.classes, self.single)

    @property
    def thin(self) -> bool:
        """Whether there are many classes of few rows: legal, slow, and rarely worth it."""
        return self.classes > MOST_SINGLE_CLASSES and self.rows < _FEW_ROWS * self.classes


def ask_task(table: Table, target: str | None, parent: ModelMetadata | None) -> str:
    """Ask whether labels or numbers are to be predicted, what the column looks like first; a parent's task stays."""
    if parent is not None:
        return parent.task
    if target is None:
        return "classification"
    look = next((column for column in table.columns if column.name == target), None)
    is_quantity = look is not None and look.feature_type == "numeric" and look.distinct not in _FEW_LABELS
    tasks: tuple[TaskName, ...] = ("classification", "regression")
    return st.segmented_control(
        t("target.task"),
        tasks,
        default="regression" if is_quantity else "classification",
        required=True,
        format_func=lambda name: t(f"task.{name}"),
        key=f"task-{table.path.name}-{target}",
        help=t("target.task_help"),
        persist_state="session",
    )


def show_target(table: Table, target: str, task: str) -> bool:
    """Say what a column would be as the target of a task; False if the server would refuse it."""
    look = next((column for column in table.columns if column.name == target), None)
    if task != "regression":
        return _show_labels(table, target, look)
    if look is None:
        return True
    if look.distinct < 2:
        st.error(t("target.one_number", column=escaped(target)), icon=":material/block:")
        return False
    st.caption(t("columns.numbers", typical=escaped(look.typical)))
    return True


def _show_labels(table: Table, target: str, look: ColumnLook | None) -> bool:
    labels = _counted(table, target)
    if look is None or labels is None:
        return True  # the server says what is wrong, if anything is
    if labels.classes < 2:
        problem = t("target.one_class", column=escaped(target))
    elif labels.hopeless:
        numbers = {"classes": count(labels.classes), "rows": count(labels.rows), "single": count(labels.single)}
        problem = t("target.hopeless", column=escaped(target), **numbers)
    else:
        st.caption(t("columns.labels", n=count(labels.classes), typical=escaped(look.typical)))
        if labels.thin:
            st.warning(
                t("target.thin", classes=count(labels.classes), rows=round(labels.rows / labels.classes)),
                icon=":material/hourglass_top:",
            )
        return True
    others = [f"**{escaped(name)}**" for name in better_targets(table) if name != target]
    hint = t("target.others", names=", ".join(others)) if others else t("target.no_others")
    st.error(f"{problem}  \n{hint}", icon=":material/block:")
    return False


def count_labels(table: Table, target: str) -> Labels | None:
    """Count the labels of a column over the whole table; None if the column cannot be read or counted."""
    try:
        labels = without_missing(table.scan().select(target).collect(engine="streaming").to_series())
        sizes = labels.rename("label").value_counts(name="size")["size"]
    except UNREADABLE:
        return None
    return Labels(len(labels), len(sizes), int((sizes == 1).sum()))


def better_targets(table: Table) -> list[str]:
    """Name columns of few labels and no gaps; the last first, because most tables end with the answers."""
    fit = [column.name for column in table.columns if column.distinct in _FEW_LABELS and not column.missing]
    return fit[::-1][:_MOST_NAMED]


def _counted(table: Table, target: str) -> Labels | None:
    """Count the labels once a file and column, not at every rerun of the page."""
    counted: dict[tuple[str, str], Labels | None] = session.current().kept.setdefault("labels", {})
    key = (table.path.name, target)
    if key not in counted:
        counted[key] = count_labels(table, target)
    return counted[key]
