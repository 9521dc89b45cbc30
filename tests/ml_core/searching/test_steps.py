"""The runs of a search by themselves: what becomes of it if the scores that a trial has kept are lost or damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelyard.errors import DataLoss
from modelyard.jobs import Finished, ProgressReporter, Step, StepTold
from modelyard.jobs.spool import Spool
from modelyard.ml_core.searching.orders import order_search, write_search
from modelyard.ml_core.searching.planning import SearchPlanner
from modelyard.ml_core.searching.steps import run
from modelyard.schemas import LeaderboardEntry, Report, SearchRequest, parse

X = {"a": [row % 7 for row in range(60)], "b": [row % 4 for row in range(60)]}
Y = [("no", "yes")[(a > 2) ^ (row % 9 == 0)] for row, a in enumerate(X["a"])]
DAMAGES = {
    "gone": lambda file: file.unlink(),
    "empty": lambda file: file.write_bytes(b""),
    "cut off": lambda file: file.write_bytes(file.read_bytes()[:-9]),
    "of other rows": lambda file: np.save(file, np.ones((3, 2))),
}


def searched(folder: Path, damage: Any, *numbers: int) -> list[LeaderboardEntry]:
    """Carry a search of three trials out, damage the scores of some before its last run, and return what that tells."""
    folder.mkdir()
    asked = parse(SearchRequest, {"X": X, "y": Y, "model_classes": ["logistic_regression"], "trials": 3})
    write_search(folder, order_search(asked, (), 0))
    planner = SearchPlanner()
    told: list[dict[str, Any]] = []
    while True:
        step = planner.next_step(folder, told, (), 0.0)
        assert isinstance(step, Step)
        if step.is_last:
            break
        ended = run(step.folder, ProgressReporter(Spool(step.folder)))
        assert isinstance(ended, StepTold)
        told.append({**ended.said, "at_s": 0.0})
    for number in numbers:
        damage(folder / "runs" / str(number) / "scores.npy")
    ended = run(step.folder, ProgressReporter(Spool(step.folder)))
    assert isinstance(ended, Finished)
    found = Report.model_validate_json((step.folder / "result" / "report.json").read_bytes()).leaderboard
    assert found is not None
    return found


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_trial_whose_scores_are_lost_has_failed_and_the_search_goes_on(tmp_path: Path, damage: Any) -> None:
    whole = searched(tmp_path / "whole", damage)
    damaged = searched(tmp_path / "damaged", damage, 0)
    assert [entry.status for entry in damaged].count("failed") == 1
    *others, lost = damaged
    assert (lost.hyperparams["C"], lost.metric, lost.low) == (1.0, None, None)
    assert lost.words == "what this trial had found is lost: its file of scores is gone or damaged"
    kept = [entry.hyperparams["C"] for entry in whole if entry.hyperparams["C"] != 1.0]
    assert [entry.hyperparams["C"] for entry in others] == kept


def test_a_search_that_has_lost_the_scores_of_all_trials_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataLoss, match="has lost what its trials had found"):
        searched(tmp_path / "all", DAMAGES["empty"], 0, 1, 2)
