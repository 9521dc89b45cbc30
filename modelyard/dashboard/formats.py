"""Numbers, times and sizes as people read them, in the session's language."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from modelyard.dashboard.texts import language, said, t
from modelyard.schemas import ANONYMOUS, Prediction, interval_of, meaning

_APART = "\N{NARROW NO-BREAK SPACE}"
_BIN = re.compile(r"(below|above|from) (-?\d.*)|(-?\d.*) to (-?\d.*)")
_MARKDOWN = re.compile(r"[\\`*\[\]~$<>|:]|(?<!\w)_|_(?!\w)|^[#+-]", re.MULTILINE)
NOTHING = "\N{EN DASH}"
_TOO_LONG = 1e15
"""Numbers from here on have an exponent: their last digits say nothing."""
PERCENT, WHOLE, SHORT = "%.1f %%", "%d", "%.4g"
"""How columns write numbers: percents, whole ones, any; Streamlit's own formats go by the browser's language."""


def percent(share: float | None) -> str:
    """Write a share of 1: `98.6 %`. Up to three decimals tell nearly all from all, and nearly nothing from nothing."""
    if share is None or math.isnan(share):
        return NOTHING
    if share in (0, 1):
        return with_unit(f"{share:.0%}".removesuffix("%"))
    value = min(max(share * 100, 0.001), 99.999)
    digits = 1 if 0 < round(value, 1) < 100 else min(-math.floor(math.log10(min(value, 100 - value))), 3)
    return with_unit(f"{value:.{digits}f}")


def with_unit(number: str, unit: str = "%") -> str:
    """Write a number with its unit, so that no end of a line parts them."""
    return f"{number}\N{NO-BREAK SPACE}{unit}"


def between(low: str, high: str) -> str:
    """Write a range of two values; percents have their sign once."""
    sign = with_unit("")
    return f"{low.removesuffix(sign) if high.endswith(sign) else low}\N{EN DASH}{high}"


_NO_VALUES = ("others", "missing")
"""Bins that hold no one value; a category that has such a name is written as they are."""


def bin_label(label: str) -> str:
    """Write which cells a bin holds: of numbers and moments between which they lie, else a category or `missing`."""
    found = _BIN.fullmatch(label)
    if found is None:
        return said(label) if label in _NO_VALUES else label
    side, at, low, high = found.groups()
    return t(f"bin.{side}", at=at) if side else t("bin.between", low=low, high=high)


def is_share(metric: str) -> bool:
    """Whether a metric is a share of 1; the others are losses, and R², which may be below 0."""
    named = meaning(metric)
    return not named.is_loss and named.measure != "r2"


def metric_value(metric: str, value: float | None) -> str:
    """Write a metric: shares in percent, all others as numbers."""
    if value is None:
        return NOTHING
    if meaning(metric).measure == "mape":
        return with_unit(number(value * 100, 3))
    return percent(value) if is_share(metric) else number(value, 3)


def metric_interval(metric: str, metrics: Mapping[str, float | None]) -> str | None:
    """Write between which values a metric lies, as one text; None if that is not known."""
    found = interval_of(metric, metrics)
    if found is None:
        return None
    return between(*(metric_value(metric, end) for end in found))


def metric_with_interval(metric: str, metrics: Mapping[str, float | None]) -> str:
    """Write a metric and between which values it lies, in parentheses."""
    value, between = metric_value(metric, metrics.get(metric)), metric_interval(metric, metrics)
    return value if between is None else f"{value} ({between})"


def number(value: float | None, digits: int = 4) -> str:
    """Write a number with that many significant digits, whole ones with all of theirs."""
    if value is None or math.isnan(value):
        return NOTHING
    if float(value).is_integer() and abs(value) < _TOO_LONG:
        return count(int(value))
    if abs(value) >= _TOO_LONG or abs(value) < 1e-4:
        return f"{value:.{digits - 1}e}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{decimals}f}" if abs(value) < 10_000 else f"{value:,.{decimals}f}".replace(",", _APART)
    return text.rstrip("0").rstrip(".") if "." in text else text


def count(value: int) -> str:
    """Write a whole number, its thousands apart from five digits on."""
    return str(value) if abs(value) < 10_000 else f"{value:,}".replace(",", _APART)


def size(n_bytes: int) -> str:
    """Write a size in bytes."""
    amount = float(n_bytes)
    units = t("size.units").split()
    for unit in units[:-1]:
        if amount < 1024:
            return with_unit(f"{amount:.0f}" if unit == units[0] or amount >= 10 else f"{amount:.1f}", unit)
        amount /= 1024
    return with_unit(f"{amount:.1f}", units[-1])


def duration(seconds: float) -> str:
    """Write how long something took."""
    if seconds < 1:
        return t("time.ms", n=max(1, round(seconds * 1000)))
    if seconds < 10:
        return t("time.s", n=f"{seconds:.1f}")
    if seconds < 60:
        return t("time.s", n=round(seconds))
    if seconds >= 3600:
        return t("time.h_min", hours=int(seconds // 3600), minutes=int(seconds % 3600 // 60))
    return t("time.min_s", minutes=int(seconds // 60), seconds=int(seconds % 60))


def ago(moment: datetime, now: datetime | None = None) -> str:
    """Write how long ago a moment was."""
    past = (now or datetime.now(UTC)) - moment
    if past < timedelta(minutes=1):
        return t("time.just_now")
    if past < timedelta(hours=1):
        return t("time.minutes_ago", n=int(past.total_seconds() // 60))
    if past < timedelta(days=1):
        return t("time.hours_ago", n=int(past.total_seconds() // 3600))
    return t("time.days_ago", n=past.days)


def moment_format() -> str:
    """Return how columns of moments are shown: how long ago, which Streamlit says in English only, or the date."""
    return "distance" if language() == "en" else "YYYY-MM-DD HH:mm"


def caller(name: str) -> str:
    """Write who made a call: a key's name, `local:` and a user, or that nobody was asked for a key."""
    return t("audit.anonymous") if name == ANONYMOUS else name


def minute(moment: str) -> str:
    """Write a moment that came as ISO 8601, to the minute: `2024-01-05 10:00`."""
    return moment[:16].replace("T", " ")


def label(value: Prediction | None) -> str:
    """Write a class label, booleans as JSON has them, or a predicted number."""
    if isinstance(value, float):
        return number(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return NOTHING if value is None else str(value)


def escaped(text: str) -> str:
    """Return text that Markdown shows as it is; what is harmless stays, since screen readers read labels raw."""
    return _MARKDOWN.sub(r"\\\g<0>", text)
