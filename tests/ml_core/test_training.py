"""A training end to end: splits, fallbacks, early stopping, progress, and the fit on all rows."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.tree import DecisionTreeClassifier

from modelyard.errors import FieldError, InvalidHyperparams, InvalidTable
from modelyard.ml_core.tasks.base import FALLBACK
from modelyard.ml_core.tasks.classification import labels_of
from modelyard.ml_core.tasks.classification.splits import split_rows
from modelyard.ml_core.training.plan import Trained, TrainingPlan
from modelyard.ml_core.training.trainings import run_training
from modelyard.models_registry.base import Fit, FitTask, ModelClass, Numbers, Progress
from modelyard.schemas import Evaluation, JobProgress, Label, LearningCurve, ModelWarning, Report
from modelyard.tables.contract import CategoricalColumn, Contract, TrainingTable


def matrix(frame: pl.DataFrame, contract: Contract) -> npt.NDArray[np.float64]:
    """Numbers for a tree: NaN where missing, a category's place among those seen in training."""
    columns = [
        frame[name].to_numpy() if kind == "numeric" else places(frame[name], contract.categorical[name].categories)
        for name, kind in contract.feature_types.items()
    ]
    return np.column_stack(columns).astype(np.float64)


def places(cells: pl.Series, categories: Sequence[str]) -> npt.NDArray[np.float64]:
    place = {category: index for index, category in enumerate(categories)}
    return np.array([place.get(cell, -1) for cell in cells], dtype=np.float64)


class TreePredictor:
    size_bytes = 0

    def __init__(self, estimator: DecisionTreeClassifier, contract: Contract) -> None:
        self.estimator, self.contract = estimator, contract

    def few(self, rows: Sequence[Sequence[float | str]]) -> list[list[float]]:
        raise NotImplementedError

    def many(self, frame: pl.DataFrame) -> Numbers:
        assert list(self.estimator.classes_) == list(self.contract.classes)
        probabilities: Numbers = self.estimator.predict_proba(matrix(frame, self.contract))
        return probabilities


class Tree(ModelClass):
    """A decision tree; its iterations are its levels, so that it has a learning curve and can stop early."""

    key = "tree"
    title = description = "Tree"
    import_path = "sklearn.tree.DecisionTreeClassifier"
    libraries = ("scikit-learn",)
    hyperparams = ()

    def __init__(self) -> None:
        self.tasks: list[FitTask] = []

    def rules(self, hyperparams: Mapping[str, Any], n_classes: int | None) -> list[FieldError]:
        if hyperparams.get("two_classes") and n_classes != 2:
            return [FieldError(("hyperparams", "two_classes"), f"two_classes needs 2 classes, got {n_classes}")]
        return []

    def fit(self, task: FitTask) -> Fit:
        self.tasks.append(task)
        levels = task.iterations or task.hyperparams["iterations"]
        train, validation = [], []
        for level in range(1, levels + 1):
            stage = direct_fit(task.frame, task.labels, task.contract, level)
            train.append(loss(stage, task.frame, task.labels, task.contract))
            if task.validation:
                validation.append(loss(stage, *task.validation, task.contract))
            if task.on_progress:
                task.on_progress(Progress(level, levels, train[-1]))
        estimator = direct_fit(task.frame, task.labels, task.contract, levels)
        best = None
        if task.hyperparams.get("early_stopping_rounds") and validation:
            best = int(np.argmin(validation)) + 1
            estimator = direct_fit(task.frame, task.labels, task.contract, best)
        curve = LearningCurve(metric="log_loss", train=train, validation=validation or None)
        said = (ModelWarning(code="said", message=f"fitted {task.frame.height} rows"),)
        return Fit(estimator, said if task.hyperparams.get("talk") else (), curve, best)

    def predictor(self, estimator: Any, contract: Contract) -> TreePredictor:
        return TreePredictor(estimator, contract)

    def feature_importances(self, estimator: Any, contract: Contract, frame: pl.DataFrame) -> dict[str, float]:
        return dict(zip(contract.feature_names, estimator.feature_importances_, strict=True))


def direct_fit(frame: pl.DataFrame, labels: Any, contract: Contract, levels: int) -> DecisionTreeClassifier:
    return DecisionTreeClassifier(max_depth=levels, random_state=0).fit(matrix(frame, contract), labels)


def loss(estimator: DecisionTreeClassifier, frame: pl.DataFrame, labels: Any, contract: Contract) -> float:
    probabilities = estimator.predict_proba(matrix(frame, contract))
    codes = np.searchsorted(estimator.classes_.astype(str), np.asarray(labels).astype(str))
    return float(log_loss(codes, y_proba=probabilities, labels=range(len(estimator.classes_))))


def table_of(columns: dict[str, list[Any]], labels: Sequence[Label]) -> TrainingTable:
    """A checked table made by hand."""
    frame = pl.DataFrame(
        [
            pl.Series(name, cells, dtype=pl.String if isinstance(cells[0], str) else pl.Float64)
            for name, cells in columns.items()
        ]
    )
    categorical = {
        name: CategoricalColumn(tuple(sorted(set(frame[name])))) for name in columns if frame[name].dtype == pl.String
    }
    classes = tuple(sorted(set(labels)))
    contract = Contract(
        feature_types={name: "categorical" if name in categorical else "numeric" for name in columns},
        categorical=categorical,
        classes=classes,
        missing_markers=("",),
    )
    codes = np.array([classes.index(label) for label in labels], dtype=np.int64)
    frame = frame.with_columns(frame[name].cast(column.enum) for name, column in categorical.items())
    return TrainingTable(frame, codes=codes, contract=contract, target="y")


def noisy_table(n: int = 300, classes: Sequence[Label] = ("no", "yes"), seed: int = 0) -> TrainingTable:
    """Two numeric columns of which one tells the class, noisily, and a categorical one; some cells missing."""
    random = np.random.default_rng(seed)
    codes = np.sort(random.integers(len(classes), size=n))
    telling = (codes + random.normal(scale=0.7, size=n)).tolist()
    noise = random.normal(size=n).tolist()
    noise[::17] = [None] * len(noise[::17])
    colour = random.choice(["red", "green", "\x00missing"], size=n).tolist()
    return table_of({"telling": telling, "noise": noise, "colour": colour}, [classes[code] for code in codes])


def train(
    table: TrainingTable, evaluation: Evaluation | None = None, tree: Tree | None = None, **hyperparams: Any
) -> Trained:
    given_hyperparams = {"iterations": 3, "early_stopping_rounds": None, **hyperparams}
    return run_training(TrainingPlan(tree or Tree(), given_hyperparams, evaluation or Evaluation(), table))


def codes_of(warnings: Sequence[ModelWarning]) -> list[str]:
    return [warning.code for warning in warnings]


def test_hold_out_is_scikit_learns_stratified_split_with_the_seed() -> None:
    table = noisy_table()
    tree = Tree()
    trained = train(table, Evaluation(fraction=0.3, seed=5), tree)
    rows, held_out = train_test_split(np.arange(300), test_size=0.3, stratify=table.codes, random_state=5)
    assert tree.tasks[0].frame.equals(table.text_frame[np.sort(rows)])
    assert tree.tasks[0].validation is not None
    assert tree.tasks[0].validation[0].equals(table.text_frame[np.sort(held_out)])
    assert trained.report.rows == {"total": 300, "train": 210, "validation": 90}
    assert trained.evaluation == Evaluation(fraction=0.3, seed=5)


def test_hold_out_keeps_the_shares_of_the_classes() -> None:
    codes = np.repeat([0, 1, 2], [700, 200, 100])
    (part,) = split_rows(Evaluation(), codes, ["a", "b", "c"]).parts
    assert np.bincount(codes[part.validation]).tolist() == [140, 40, 20]


def test_folds_are_scikit_learns_and_hold_each_row_out_once() -> None:
    codes = noisy_table().codes
    splits = split_rows(Evaluation(method="cv", folds=4, seed=3), codes, ["no", "yes"])
    expected = StratifiedKFold(4, shuffle=True, random_state=3).split(codes, codes)
    for part, (rows, held_out) in zip(splits.parts, expected, strict=True):
        assert part.train.tolist() == rows.tolist()
        assert part.validation.tolist() == held_out.tolist()
    assert np.sort(np.concatenate([part.validation for part in splits.parts])).tolist() == list(range(300))


@pytest.mark.parametrize("method", ["holdout", "cv", "none"])
def test_final_model_is_fitted_on_all_rows(method: Any) -> None:
    table = noisy_table()
    trained = train(table, Evaluation(method=method))
    direct = direct_fit(table.frame, labels_of(table.codes, table.contract.classes), table.contract, 3)
    cells = matrix(table.frame, table.contract)
    assert np.array_equal(trained.estimator.predict_proba(cells), direct.predict_proba(cells))
    assert trained.metrics["train_accuracy"] == direct.score(cells, labels_of(table.codes, table.contract.classes))


@pytest.mark.parametrize("evaluation", [Evaluation(), Evaluation(method="cv", folds=3)])
def test_same_plan_gives_the_same_report(evaluation: Evaluation) -> None:
    assert train(noisy_table(), evaluation).report == train(noisy_table(), evaluation).report


def test_another_seed_holds_other_rows_out() -> None:
    first, second = (train(noisy_table(), Evaluation(seed=seed)) for seed in (0, 1))
    assert first.report.confusion_matrix != second.report.confusion_matrix


@pytest.mark.parametrize(
    ("classes", "kind"),
    [((False, True), np.bool_), ((3, 7, 11), np.int64), (("a", "b", "c"), np.object_), ((0, 1), np.int64)],
)
def test_labels_reach_the_model_class_in_their_own_type(classes: tuple[Label, ...], kind: Any) -> None:
    tree = Tree()
    trained = train(noisy_table(classes=classes), tree=tree)
    assert tree.tasks[-1].labels.dtype == kind
    assert set(tree.tasks[0].labels.tolist()) == set(classes)
    assert trained.report.confusion_matrix is not None
    assert trained.report.confusion_matrix.labels == list(classes)
    assert [type(label) for label in trained.report.confusion_matrix.labels] == [type(label) for label in classes]


def test_none_gives_the_training_score_only() -> None:
    trained = train(noisy_table(), Evaluation(method="none"))
    assert list(trained.metrics) == ["train_accuracy"]
    report = trained.report
    assert report.confusion_matrix is None
    assert report.per_class is None
    assert report.roc_curves is report.precision_recall_curves is report.calibration_curve is None
    assert report.rows == {"total": 300, "train": 300, "validation": 0}
    assert report.learning_curve is not None
    assert report.learning_curve.validation is None


def test_early_stopping_without_a_validation_is_refused_before_any_fit() -> None:
    tree = Tree()
    with pytest.raises(InvalidHyperparams, match=r"'early_stopping_rounds'.*'none'") as caught:
        train(noisy_table(), Evaluation(method="none"), tree, early_stopping_rounds=5)
    assert caught.value.errors[0].loc == ("hyperparams", "early_stopping_rounds")
    assert tree.tasks == []


def test_rules_on_the_number_of_classes_are_checked_before_any_fit() -> None:
    tree = Tree()
    with pytest.raises(InvalidHyperparams, match="two_classes needs 2 classes, got 3"):
        train(noisy_table(classes="abc"), tree=tree, two_classes=True)
    assert tree.tasks == []


def test_final_fit_takes_the_best_iterations_of_the_hold_out() -> None:
    tree = Tree()
    trained = train(noisy_table(), tree=tree, iterations=8, early_stopping_rounds=2)
    curve = trained.report.learning_curve
    assert curve is not None
    assert curve.validation is not None
    best = int(np.argmin(curve.validation)) + 1
    assert best < 8
    assert [task.iterations for task in tree.tasks] == [None, best]
    assert trained.estimator.get_depth() == best


def test_final_fit_takes_the_median_iterations_of_the_folds() -> None:
    class Scripted(Tree):
        def fit(self, task: FitTask) -> Fit:
            fit = super().fit(task)
            return Fit(fit.estimator, iterations=[1, 9, 4, 2][len(self.tasks) - 1] if task.validation else None)

    tree = Scripted()
    train(noisy_table(), Evaluation(method="cv", folds=4), tree, early_stopping_rounds=2)
    assert [task.iterations for task in tree.tasks] == [None, None, None, None, 3]


def test_without_early_stopping_the_final_fit_takes_the_hyperparams() -> None:
    tree = Tree()
    train(noisy_table(), tree=tree)
    assert [task.iterations for task in tree.tasks] == [None, None]


def test_class_with_one_row_is_fitted_and_never_held_out() -> None:
    codes = np.array([0] * 20 + [1] * 20 + [2])
    for method in ("holdout", "cv"):
        splits = split_rows(Evaluation(method=method), codes, ["a", "b", "rare"])
        assert splits.evaluation == Evaluation(method=method)
        assert codes_of(splits.warnings) == [FALLBACK]
        assert "class 'rare' has a single row" in splits.warnings[0].message
        assert all(40 in part.train for part in splits.parts)


def test_no_two_classes_to_hold_out_means_no_validation() -> None:
    table = table_of({"x": [1.0, 2.0, 3.0, 4.0]}, ["a", "a", "a", "b"])
    for method in ("holdout", "cv"):
        trained = train(table, Evaluation(method=method), early_stopping_rounds=3)
        assert trained.evaluation.method == "none"
        assert list(trained.metrics) == ["train_accuracy"]
        assert codes_of(trained.warnings) == ["rare_classes", FALLBACK, FALLBACK]
        assert "class 'b' has a single row" in trained.warnings[1].message
        assert "no early stopping" in trained.warnings[2].message


def test_more_folds_than_rows_of_a_class_become_as_many_folds() -> None:
    splits = split_rows(Evaluation(method="cv", folds=5), np.array([0] * 9 + [1] * 3), ["a", "b"])
    assert splits.evaluation.folds == len(splits.parts) == 3
    assert codes_of(splits.warnings) == [FALLBACK]
    assert "class 'b' has 3" in splits.warnings[0].message


def test_hold_out_is_at_least_one_row_of_each_class() -> None:
    codes = np.repeat([0, 1, 2], 3)
    small = split_rows(Evaluation(fraction=0.1), codes, "abc")
    large = split_rows(Evaluation(fraction=0.9), codes, "abc")
    assert sorted(codes[small.parts[0].validation]) == [0, 1, 2] == sorted(codes[large.parts[0].train])
    assert codes_of(small.warnings) == codes_of(large.warnings) == [FALLBACK]
    assert small.evaluation.fraction == pytest.approx(1 / 3)


def test_rare_class_is_in_both_parts() -> None:
    codes = np.repeat([0, 1], [1000, 2])
    for fraction in (0.01, 0.2, 0.9):
        (part,) = split_rows(Evaluation(fraction=fraction), codes, "ab").parts
        assert set(codes[part.train]) == set(codes[part.validation]) == {0, 1}


def test_warnings_of_table_evaluation_and_fits_are_all_there_once() -> None:
    table = noisy_table()
    warned = replace(table, warnings=(ModelWarning(code="table", message="of the table"),))
    trained = train(warned, Evaluation(method="cv"), talk=True)
    assert codes_of(trained.warnings) == ["table", "said"]
    assert trained.warnings[1].message == "fitted 300 rows"
    assert trained.report.warnings == list(trained.warnings)


def test_warning_of_the_evaluations_fits_alone_is_marked() -> None:
    class Nervous(Tree):
        def fit(self, task: FitTask) -> Fit:
            fit = super().fit(task)
            return fit if task.validation is None else Fit(fit.estimator, (ModelWarning(code="said", message="late"),))

    trained = train(noisy_table(), Evaluation(method="cv"), Nervous())
    assert [warning.message for warning in trained.warnings] == ["in the evaluation: late"]


@pytest.mark.parametrize(("method", "total"), [("none", 6), ("holdout", 12), ("cv", 24)])
def test_progress_is_one_rising_stream_to_its_total(method: Any, total: int) -> None:
    seen: list[JobProgress] = []
    plan = TrainingPlan(Tree(), {"iterations": 6}, Evaluation(method=method, folds=3), noisy_table())
    run_training(plan, seen.append)
    assert [progress.step for progress in seen] == list(range(1, total + 1))
    assert {progress.total for progress in seen} == {total}
    assert all(progress.metric is not None for progress in seen)


PHASES: dict[str, list[str]] = {
    "none": ["fit 1 of 1"],
    "holdout": ["fit 1 of 2", "fit 2 of 2"],
    "cv": ["fold 1 of 3", "fold 2 of 3", "fold 3 of 3", "final fit"],
}


@pytest.mark.parametrize("method", PHASES)
def test_progress_names_the_fit_under_way_its_iterations_and_whose_loss_it_is(method: Any) -> None:
    seen: list[JobProgress] = []
    plan = TrainingPlan(Tree(), {"iterations": 6}, Evaluation(method=method, folds=3), noisy_table())
    run_training(plan, seen.append)
    assert list(dict.fromkeys(progress.phase for progress in seen)) == PHASES[method]
    assert [(progress.phase_step, progress.phase_total) for progress in seen[:6]] == [(n, 6) for n in range(1, 7)]
    assert [progress.held_out for progress in seen] == [True] * (len(seen) - 6) + [False] * 6


def test_progress_of_shorter_fits_still_reaches_the_total() -> None:
    seen: list[JobProgress] = []
    plan = TrainingPlan(Tree(), {"iterations": 6, "early_stopping_rounds": 1}, Evaluation(), noisy_table())
    run_training(plan, seen.append)
    steps = [progress.step for progress in seen if progress.step is not None]
    assert steps == sorted(set(steps))
    assert seen[-1].step == seen[-1].total == 12


def test_silent_model_class_makes_progress_by_fits() -> None:
    class Silent(Tree):
        def fit(self, task: FitTask) -> Fit:
            return super().fit(FitTask(task.frame, task.labels, task.contract, task.hyperparams, task.validation))

    seen: list[JobProgress] = []
    run_training(TrainingPlan(Silent(), {"iterations": 2}, Evaluation(), noisy_table()), seen.append)
    assert [(progress.step, progress.total) for progress in seen] == [(1, 2), (2, 2)]
    assert [(progress.phase, progress.phase_step) for progress in seen] == [("fit 2 of 2", None)] * 2


def test_what_the_progress_listener_raises_ends_the_training() -> None:
    def stop(progress: JobProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_training(TrainingPlan(Tree(), {"iterations": 2}, Evaluation(), noisy_table()), stop)


def test_fit_that_broke_down_is_refused() -> None:
    class Broken(TreePredictor):
        def many(self, frame: pl.DataFrame) -> Numbers:
            return super().many(frame) * np.nan

    class BrokenTree(Tree):
        def predictor(self, estimator: Any, contract: Contract) -> TreePredictor:
            return Broken(estimator, contract)

    with pytest.raises(InvalidTable, match="probabilities are not numbers"):
        train(noisy_table(), tree=BrokenTree())


def test_part_that_cannot_be_fitted_gives_up_the_validation_not_the_training() -> None:
    class Choosy(Tree):
        def fit(self, task: FitTask) -> Fit:
            if len(self.tasks) == 1 and task.validation is not None:
                raise InvalidTable("X must have a column whose values differ")
            return super().fit(task)

    seen: list[JobProgress] = []
    plan = TrainingPlan(Choosy(), {"iterations": 2}, Evaluation(method="cv", folds=3), noisy_table())
    trained = run_training(plan, seen.append)
    assert trained.evaluation.method == "none"
    assert list(trained.metrics) == ["train_accuracy"]
    assert codes_of(trained.warnings) == [FALLBACK]
    assert "a column whose values differ" in trained.warnings[0].message
    assert [progress.step for progress in seen] == [1, 2, 7, 8]
    assert seen[-1].total == 8


@st.composite
def tiny_tables(draw: st.DrawFn) -> TrainingTable:
    """Any legal table of few rows: rare classes, constant and nearly empty columns, one-off categories."""
    classes: Sequence[Label] = draw(
        st.sampled_from([(False, True), (0, 1), (1, 2, 3), ("a", "b"), ("a", "b", "c", "d")])
    )
    extra = draw(st.lists(st.sampled_from(classes), max_size=20))
    labels = draw(st.permutations([classes[0], classes[1], *extra]))
    n = len(labels)
    number = st.none() | st.floats(-1e6, 1e6, width=32)
    numbers = draw(
        st.lists(number, min_size=n, max_size=n).filter(lambda cells: any(cell is not None for cell in cells))
    )
    texts = draw(st.lists(st.sampled_from(["u", "v", "w", "\x00missing"]), min_size=n, max_size=n))
    return table_of({"number": numbers, "text": texts}, labels)


evaluations = st.builds(
    Evaluation,
    method=st.sampled_from(["holdout", "cv", "none"]),
    fraction=st.floats(0.01, 0.9),
    folds=st.integers(2, 6),
    seed=st.integers(0, 2**32 - 1),
)


@given(tiny_tables(), evaluations)
def test_any_legal_table_trains_with_any_evaluation(table: TrainingTable, evaluation: Evaluation) -> None:
    tree = Tree()
    trained = train(table, evaluation, tree, iterations=2)
    assert tree.tasks[-1].frame.equals(table.text_frame)
    assert all(set(task.labels.tolist()) == set(table.contract.classes) for task in tree.tasks)
    for task in tree.tasks[:-1]:
        assert task.validation is not None
        assert len(set(task.validation[1].tolist())) >= 2
    if trained.evaluation != evaluation:
        assert FALLBACK in codes_of(trained.warnings)
    text = trained.report.model_dump_json()
    json.dumps(trained.report.model_dump(), allow_nan=False)
    assert Report.model_validate_json(text) == trained.report


@given(st.lists(st.integers(0, 4), min_size=2, max_size=60), evaluations)
def test_any_split_parts_the_rows_and_keeps_every_class_fitted(labels: list[int], evaluation: Evaluation) -> None:
    codes = np.array(labels)
    splits = split_rows(evaluation, codes, range(5))
    assert (splits.evaluation.method == "none") == (not splits.parts)
    for part in splits.parts:
        assert np.sort(np.concatenate([part.train, part.validation])).tolist() == list(range(len(codes)))
        assert set(codes[part.train]) == set(codes)
        assert len(set(codes[part.validation])) >= 2


def test_importing_training_imports_no_learning_library() -> None:
    script = (
        "import sys, modelyard.ml_core.training.trainings\n"
        "print(sorted({'sklearn', 'catboost', 'lightgbm', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
