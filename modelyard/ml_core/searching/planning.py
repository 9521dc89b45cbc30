"""What the jobs are told of a search: the order of each of its runs, which are trials and then the last one."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from modelyard.jobs import Step
from modelyard.ml_core.searching.asking import ask, number_of_trials
from modelyard.ml_core.searching.settings import SearchSettings
from modelyard.schemas import JobError, JobProgress, Leader, is_loss

LAST = "last"
_OF_TRIALS = 0.9
"""The share of the progress that trials have; the rest is the last run's."""

TRIAL_FILE, LAST_FILE = "trial.json", "last.json"


class SearchPlanner:
    """Plans searches. It satisfies `modelyard.jobs.Planner`, which describes the methods; it holds no state."""

    def next_step(
        self, folder: Path, told: Sequence[Mapping[str, Any]], running: Collection[str], spent_s: float
    ) -> Step | JobError | None:
        """Order the next trial; after the last one, or `max_seconds` with one that is complete, the end of the search.

        If the defaults of every model class fail, what the first one failed with is the end.
        """
        settings = SearchSettings.read(folder)
        done = {one["number"] for one in told}
        under_way = {int(name) for name in running if name != LAST}
        has_best = any(one["status"] == "complete" for one in told)
        is_over = (
            len(done | under_way) >= number_of_trials(settings)
            or (has_best and spent_s >= settings.max_seconds)
            or (not has_best and len(done) >= len(settings.model_classes))
        )
        if not is_over:
            number = next(one for one in range(settings.trials) if one not in done and one not in under_way)
            return _trial(folder, settings, told, number)
        if running:
            return None
        if not has_best:
            return JobError.model_validate(told[0]["error"])
        return Step(LAST, _written(folder, LAST, LAST_FILE, {"told": told, "seconds": spent_s}), {}, is_last=True)

    def failed(self, step: Step, error: JobError) -> Mapping[str, Any]:
        """Return what is kept of a trial that failed."""
        return {**step.facts, "status": "failed", "folds": [], "seconds": 0.0, "error": error.model_dump(mode="json")}

    def progress(self, folder: Path, told: Sequence[Mapping[str, Any]], running: Collection[str]) -> JobProgress:
        """Return how many trials are done, which one is under way (the first of several), and the best so far."""
        settings = SearchSettings.read(folder)
        total = number_of_trials(settings)
        board = _board(told, lower=is_loss(settings.metric))
        best = board[0] if board else None
        spent = told[-1]["at_s"] / settings.max_seconds if told else 0.0
        return JobProgress(
            fraction=_OF_TRIALS * max(len(told) / total, min(spent, 1.0)),
            step=len(told),
            total=total,
            metric=best and best.metric,
            held_out=None if best is None else True,
            phase="final fit" if LAST in running else f"trial {min(len(told) + 1, total)} of {total}",
            model_class_key=best and best.model_class_key,
            board=board,
            max_seconds=settings.max_seconds,
        )


def _board(told: Sequence[Mapping[str, Any]], *, lower: bool) -> list[Leader]:
    """Return the best complete trial of each model class, the best first."""
    complete = [one for one in told if one["status"] == "complete"]
    found: list[Leader] = []
    for one in sorted(complete, key=lambda one: one["metric"], reverse=not lower):
        key = one["model_class_key"]
        if all(key != leader.model_class_key for leader in found):
            seconds = [other["seconds"] for other in told if other["model_class_key"] == key]
            ends = {"low": one.get("low"), "high": one.get("high")}
            leader = Leader(
                model_class_key=key, metric=one["metric"], trials=len(seconds), seconds=round(sum(seconds), 3), **ends
            )
            found.append(leader)
    return found


def _trial(folder: Path, settings: SearchSettings, told: Sequence[Mapping[str, Any]], number: int) -> Step:
    key, hyperparams = ask(settings, told, number)
    facts = {"number": number, "model_class_key": key, "hyperparams": hyperparams}
    others = [one["folds"] for one in told if one["model_class_key"] == key]
    return Step(str(number), _written(folder, str(number), TRIAL_FILE, {**facts, "others": others}), facts)


def _written(search: Path, name: str, file: str, said: Mapping[str, Any]) -> Path:
    """Write the order of a run into a new folder of its own; what a run that was lost left there is removed."""
    folder = search / "runs" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / file).write_bytes(orjson.dumps(said))
    return folder
