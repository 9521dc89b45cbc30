"""What a visitor orders: the algorithm and its hyperparams, how to judge it, its name; and the request made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import streamlit as st

from modelyard.dashboard import session
from modelyard.dashboard.columns import Mapping
from modelyard.dashboard.formats import escaped
from modelyard.dashboard.forms import ask_hyperparams
from modelyard.dashboard.listing import classes
from modelyard.dashboard.searching import ask_search, show_search_card
from modelyard.dashboard.tables import Table
from modelyard.dashboard.texts import t
from modelyard.errors import ModelClassNotFound
from modelyard.schemas import (
    AUTO,
    ENSEMBLE,
    Evaluation,
    ModelClassInfo,
    ModelMetadata,
    RetrainRequest,
    SearchRequest,
    TrainRequest,
    parse,
)

_METHODS: tuple[Literal["holdout", "time", "cv", "none"], ...] = ("holdout", "time", "cv", "none")


_CHOICES = (
    "reading-train-",
    "target-",
    "task-",
    "hyperparams-",
    "search-",
    "monotone-",
    "calibrate-",
    "evaluation-",
    "name-",
    "tags-",
)
_BUTTONS = "-defaults"


_CALIBRATIONS = ("none", "sigmoid", "isotonic")


def is_choice(key: str) -> bool:
    """Whether a widget's key is one of the training form's, whose value can be kept and put back."""
    return key.startswith(_CHOICES) and not key.endswith(_BUTTONS)


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A model class and the hyperparams that differ from the form's start, or what a search may take to find them."""

    key: str
    hyperparams: dict[str, Any]
    takes_monotone: bool = False
    search: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """All that the form says."""

    algorithm: Algorithm
    evaluation: Evaluation
    name: str | None
    tags: list[str]
    mapping: Mapping
    target: str | None
    monotone: dict[str, int]
    calibrate: str | None = None

    def training(self, table: Table) -> TrainRequest:
        """Write the order as a request. Raises InvalidRequest."""
        return parse(TrainRequest, self._fields(table, model_class_key=self.algorithm.key, name=self.name))

    def searching(self, table: Table) -> SearchRequest:
        """Write the order as a request to search. Raises InvalidRequest."""
        fields = self._fields(table, name=self.name)
        del fields["hyperparams"]
        return parse(SearchRequest, {**fields, **(self.algorithm.search or {})})

    def retraining(self, table: Table, parent: ModelMetadata) -> RetrainRequest:
        """Write the order as a request for the next version of a model. Raises InvalidRequest."""
        return parse(RetrainRequest, self._fields(table, model_id=parent.model_id))

    def _fields(self, table: Table, **own: str | None) -> dict[str, Any]:
        fields = {
            **own,
            **table.said,
            "X": table.path,
            "target": self.target,
            "hyperparams": self.algorithm.hyperparams,
            "feature_types": dict(self.mapping.feature_types) or None,
            **({"column_roles": self.mapping.roles, "exclude": self._left_out()} if table.columns else {}),
            "monotone": self.monotone or None,
            "calibrate": self.calibrate,
            "tags": self.tags,
            "evaluation": self.evaluation,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def _left_out(self) -> list[str]:
        """Return the columns to ignore: said in full, because otherwise a parent's would be left out, too."""
        return [name for name, role in self.mapping.roles.items() if role == "ignore"]


def ask_algorithm(parent: ModelMetadata | None, task: str) -> Algorithm:
    """Ask for a model class of the task, a card each, and for its hyperparams; a retraining keeps its parent's class.

    Raises ModelClassNotFound if the server has none.
    """
    st.subheader(t("train.algorithm"), anchor=False)
    infos = {info.key: info for info in classes()}
    if parent is not None:
        info = infos.get(parent.model_class_key)
        if parent.model_class_key == ENSEMBLE:
            members = ", ".join(one.title for one in infos.values() if one.key in parent.hyperparams)
            st.markdown(t("search.ensemble_kept", members=escaped(members)))
            return Algorithm(ENSEMBLE, {})
        if info is None:
            raise ModelClassNotFound(t("train.class_gone", algorithm=parent.model_class_key))
        st.markdown(t("train.algorithm_kept", title=escaped(info.title)))
        return _ask_hyperparams(info, parent)
    infos = {key: info for key, info in infos.items() if info.task == task}
    if not infos:
        raise ModelClassNotFound(t("train.no_class", task=t(f"task.{task}")))
    here = session.current()
    chosen = here.kept.get("model_class")
    if chosen not in (AUTO, *infos):
        chosen = next(iter(infos))
    cards = st.grid(min(4, len(infos) + 1), min_column_width=230, border=True)
    for info in infos.values():
        with cards.cell():
            _show_card(info)
            _choose(info.key, chosen=info.key == chosen)
    with cards.cell():
        show_search_card()
        _choose(AUTO, chosen=chosen == AUTO)
    if chosen == AUTO:
        return Algorithm(AUTO, {}, any(info.takes_monotone for info in infos.values()), ask_search())
    return _ask_hyperparams(infos[chosen], None)


def ask_evaluation(parent: ModelMetadata | None, *, is_search: bool = False) -> Evaluation:
    """Ask how the training is to be judged; a search not by folds, because each would take a search."""
    methods = tuple(method for method in _METHODS if not (is_search and method == "cv"))
    st.subheader(t("train.evaluation"), anchor=False)
    start = parent.evaluation if parent else Evaluation()
    key = f"evaluation-{'search' if is_search else parent.model_id if parent else ''}"
    method = st.segmented_control(
        t("train.method"),
        methods,
        default=start.method,
        required=True,
        format_func=lambda name: t(f"evaluation.{name}"),
        key=f"{key}-method",
        persist_state="session",
    )
    grid = st.grid(2, min_column_width=200)
    fraction, folds = start.fraction, start.folds
    if method in ("holdout", "time"):
        share = grid.slider(t("train.fraction"), 1, 90, round(fraction * 100), format="%d %%", key=f"{key}-fraction")
        fraction = fraction if share == round(fraction * 100) else share / 100
    elif method == "cv":
        folds = grid.slider(t("train.folds"), 2, 50, folds, key=f"{key}-folds")
    seed = start.seed
    if method != "time":
        seed = grid.number_input(
            t("train.seed"), 0, 2**32 - 1, seed, key=f"{key}-seed", help=t("train.seed_help"), persist_state="session"
        )
    st.caption(t(f"evaluation.{method}_help"))
    return Evaluation(method=method, fraction=fraction, folds=folds, seed=int(seed))


def ask_calibration(parent: ModelMetadata | None) -> str:
    """Ask whether probabilities are to be calibrated, and how."""
    start = (parent.calibrate if parent else None) or "none"
    return str(
        st.selectbox(
            t("train.calibrate"),
            _CALIBRATIONS,
            _CALIBRATIONS.index(start),
            format_func=lambda name: t(f"calibrate.{name}"),
            help=t("train.calibrate_help"),
            key=f"calibrate-{parent.model_id if parent else ''}",
        )
    )


def ask_name(parent: ModelMetadata | None) -> tuple[str | None, list[str]]:
    """Ask for a name, which a retraining keeps, and for tags."""
    st.subheader(t("train.name_and_tags"), anchor=False)
    name_cell, tags_cell = st.columns(2)
    name = name_cell.text_input(
        t("train.name"),
        parent.name if parent else "",
        max_chars=100,
        disabled=parent is not None,
        placeholder=t("train.name_hint"),
        help=t("train.name_help"),
        key=f"name-{parent.model_id if parent else ''}",
    )
    tags = tags_cell.multiselect(
        t("train.tags"),
        parent.tags if parent else [],
        parent.tags if parent else [],
        accept_new_options=True,
        placeholder=t("train.tags_hint"),
        key=f"tags-{parent.model_id if parent else ''}",
        persist_state="session",
    )
    return name.strip() or None, list(tags)


def _ask_hyperparams(info: ModelClassInfo, parent: ModelMetadata | None) -> Algorithm:
    st.markdown(f"**{t('train.hyperparams')}**")
    key = f"hyperparams-{info.key}-{parent.model_id if parent else ''}"
    start = parent.hyperparams if parent else None
    return Algorithm(info.key, ask_hyperparams(key, info.hyperparams, start), info.takes_monotone)


def _show_card(info: ModelClassInfo) -> None:
    st.markdown(f"**{escaped(info.title)}**  \n:small[{escaped(info.description)}]")
    st.caption(f":small[`{info.import_path}`]")


def _choose(key: str, *, chosen: bool) -> None:
    if st.button(
        t("train.chosen") if chosen else t("train.choose"),
        key=f"class-{key}",
        icon=":material/check:" if chosen else None,
        type="primary" if chosen else "secondary",
    ):
        session.current().kept["model_class"] = key
        st.rerun()
