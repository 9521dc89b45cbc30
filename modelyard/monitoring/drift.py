"""Drift: whether what a model is asked, and answers, differs from its training beyond chance, and enough to matter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from modelyard.monitoring.bins import Apart, Counts
from modelyard.monitoring.counts import ModelCounts
from modelyard.monitoring.statistics import g_test, holm, merged, psi
from modelyard.monitoring.watch import Known, Reference
from modelyard.schemas import ColumnDrift, ColumnStatus, DriftStatus
from modelyard.schemas.showing import label_text
from modelyard.tables import Contract
from modelyard.tables.contract import unescape_category

LEVEL = 0.0005
"""How often chance alone may make any of a model's columns significant, all together."""

WATCH_PSI, DRIFTED_PSI = 0.1, 0.25
"""From there on a difference matters. These are the customary bounds (Siddiqi 2006)."""

FEWEST_ROWS = 200
"""Fewer rows are not judged."""

_MOST_NAMED = 5
_ANSWERS = "the predictions"


@dataclass(frozen=True, slots=True)
class Sample:
    """Counts of the same k cells, of training and of what was predicted for; some are not judged whatever they are.

    `name` is what they are of, in words.
    """

    name: str
    bins: list[str]
    expected: Counts
    seen: Counts
    apart: Apart
    is_judged: bool = True


def samples_of(contract: Contract, reference: Reference, counts: ModelCounts) -> Iterator[Sample]:
    """Yield the columns of a model in order."""
    for name, kind in contract.feature_types.items():
        known = reference.columns[name]
        write: Callable[..., str] = _number
        if kind == "categorical":
            write = _category
        elif kind == "datetime":
            write = _moment_writer(contract, name)
        is_judged = kind != "datetime" and not known.rises
        yield _sample(name, known, counts.columns.get(name), write, is_judged=is_judged)


def sample_of_numbers(known: Known, seen: Counts | None) -> Sample:
    """Return numbers that were answered."""
    return _sample(_ANSWERS, known, seen, _number)


def sample_of_labels(contract: Contract, expected: Counts, seen: Counts | None) -> Sample:
    """Return labels that were answered, counted by class."""
    bins = [label_text(label) for label in contract.classes]
    return Sample(_ANSWERS, bins, expected, expected * 0 if seen is None else seen, Apart())


def judge(samples: Sequence[Sample], rows: int) -> list[ColumnDrift]:
    """Judge the columns and the answers of `rows` rows together."""
    compared = [merged(one.expected, one.seen) for one in samples]
    tested = [place for place, one in enumerate(samples) if one.is_judged and one.seen.sum() and rows >= FEWEST_ROWS]
    p_values = dict(zip(tested, holm([g_test(*compared[place]) for place in tested]), strict=True))
    return [_drift(one, psi(*compared[place]), p_values.get(place)) for place, one in enumerate(samples)]


def overall(found: Iterable[ColumnDrift], rows: int) -> DriftStatus:
    """Return the status of a model by those of its columns and answers."""
    if rows < FEWEST_ROWS:
        return "too_few_rows"
    statuses = {one.status for one in found}
    return "drifted" if "drifted" in statuses else "watch" if "watch" in statuses else "ok"


def in_words(
    status: DriftStatus, samples: Sequence[Sample], found: Sequence[ColumnDrift], rows: int, hours: int
) -> str:
    """Say what was found in a sentence."""
    span = f"{rows:,} {'row' if rows == 1 else 'rows'} in {'the last hour' if hours == 1 else f'{hours:,} hours'}"
    if status == "too_few_rows":
        return f"{span}; it takes {FEWEST_ROWS} to tell"
    if status == "ok":
        return f"{span}; they are like training's"
    pairs = zip(samples, found, strict=True)
    off = sorted((-one.psi, sample.name, one.status) for sample, one in pairs if one.status in ("watch", "drifted"))
    named = ", ".join(f"{name} ({status}, psi {-size:.2f})" for size, name, status in off[:_MOST_NAMED])
    more = f" and {len(off) - _MOST_NAMED} more" if len(off) > _MOST_NAMED else ""
    return f"{span}; not like training's: {named}{more}"


def _sample(
    name: str, known: Known, seen: Counts | None, write: Callable[..., str], *, is_judged: bool = True
) -> Sample:
    bins, counts = known.bins, known.counts
    if seen is None or seen.shape != counts.shape:
        seen = counts * 0
    return Sample(name, bins.labels(write), bins.compared(counts), bins.compared(seen), bins.apart(seen), is_judged)


def _drift(sample: Sample, size: float, p_value: float | None) -> ColumnDrift:
    status: ColumnStatus = "not_judged"
    if p_value is not None:
        large = "drifted" if size > DRIFTED_PSI else "watch" if size > WATCH_PSI else "ok"
        status = large if p_value < LEVEL else "ok"  # type: ignore[assignment]
    rows = max(1, int(sample.seen.sum()))
    return ColumnDrift(
        status=status,
        psi=round(size, 6),
        p_value=1.0 if p_value is None else p_value,
        missing=sample.apart.missing / rows,
        unknown=sample.apart.unknown / rows,
        out_of_range=sample.apart.out_of_range / rows,
        bins=sample.bins,
        expected=_shares(sample.expected),
        seen=_shares(sample.seen),
    )


def _shares(counts: Counts) -> list[float]:
    shares: list[float] = (counts / max(1, counts.sum())).tolist()
    return shares


def _number(number: float) -> str:
    return f"{number:.6g}"


def _category(text: str) -> str:
    return unescape_category(text) or ""


def _moment_writer(contract: Contract, name: str) -> Callable[[float], str]:
    first = contract.datetimes[name].first
    return lambda days: (first + timedelta(days=days)).isoformat(sep=" ", timespec="minutes")
