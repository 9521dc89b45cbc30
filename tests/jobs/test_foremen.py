"""The foremen of a cluster, as a bridge finds them: what goes wrong is said, and not tried again at once."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("ray", reason="needs Ray (the extra `ray`)")

from modelyard.jobs.ray.foremen import Foremen, Place
from modelyard.jobs.ray.orders import kind_of


def test_a_foreman_that_cannot_be_made_is_said_and_not_tried_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def fail(_: Foremen, place: Place) -> None:
        tried.append(place.name)
        raise ImportError("libarrow.so: cannot open shared object file")

    async def reserve_again_and_again() -> None:
        assert await foremen.reserve() is None
        assert place.making is not None
        await place.making
        assert await foremen.reserve() is None

    monkeypatch.setattr(Foremen, "_actor", fail)
    complaints: list[str] = []
    foremen = Foremen(kind_of("a:b", (), None), 0, complaints.append)
    place = foremen._places["foreman-1-0"] = Place("foreman-1-0", "1", "host (10.44.0.2)", 0)
    asyncio.run(reserve_again_and_again())
    assert tried == ["foreman-1-0"]
    assert complaints == [
        "node host (10.44.0.2) of the Ray cluster has no foreman: libarrow.so: cannot open shared object file"
    ]
