"""How tests read metrics."""

from __future__ import annotations

from typing import Any, TypeAlias

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.waiting import PATIENCE_S

Labels: TypeAlias = tuple[tuple[str, str], ...]
Samples: TypeAlias = dict[tuple[str, Labels], float]
"""Values by name and labels."""


def labels(**given: str) -> Labels:
    """Return labels as `Samples` has them."""
    return tuple(sorted(given.items()))


def read(text: bytes) -> Samples:
    """Read Prometheus' text format."""
    families = text_string_to_metric_families(text.decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def scrape(address: str, **given: Any) -> Samples:
    """Read the metrics at an address."""
    answer = httpx.get(address, timeout=PATIENCE_S, **given)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return read(answer.content)
