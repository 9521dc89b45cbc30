"""What a decision saves against answering by the most probable class, in numbers and in words."""

from __future__ import annotations

from typing import Any

from modelyard.ml_core.deciding.deciders import Floats
from modelyard.ml_core.resampling import interval
from modelyard.schemas import ResolvedDecision

_PLAINLY = "answering by the most probable class"


def saving(
    decision: ResolvedDecision, cost: float, before: float, resampled: Floats, resampled_before: Floats
) -> dict[str, Any]:
    """Return the fields `saving`, `saving_low`, `saving_high` and `words` of a DecisionReport.

    `cost` and `before` are the mean costs of a row by the decision and by the most probable class; both were measured
    on the same resamples, shape (rounds,).
    """
    relative = before > 0 and bool((resampled_before > 0).all())
    saved, size = resampled_before - resampled, before if relative else 1.0
    low, high = interval(saved / resampled_before if relative else saved) or (0.0, 0.0)
    best = (before - cost) / size
    low, high = min(low, best), max(high, best)
    numbers = {"saving": best, "saving_low": low, "saving_high": high} if relative else {}
    return {**numbers, "words": _words(decision, best, low, high, relative=relative)}


def _words(decision: ResolvedDecision, best: float, low: float, high: float, *, relative: bool) -> str:
    if low <= 0 <= high:
        return f"no saving shown against {_PLAINLY}"
    than, (least, most) = ("less", (low, high)) if low > 0 else ("more", (-high, -low))
    size, unit = (_percent(abs(best)), " %") if relative else (f"{abs(best):.3g}", "")
    ends = (_percent(least), _percent(most)) if relative else (f"{least:.3g}", f"{most:.3g}")
    costs, fewer = "costs", than
    if decision.costs is None:
        costs, fewer = "makes", f"{'fewer' if low > 0 else 'more'} errors"
    a_row = "" if relative else " a row"
    return f"{costs} {size}{unit}{a_row} {fewer} than {_PLAINLY} (between {ends[0]} and {ends[1]}{unit})"


def _percent(part: float) -> str:
    return f"{part * 100:.0f}" if part >= 0.095 else f"{part * 100:.2g}"
