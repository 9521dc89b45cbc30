"""What a page asks of the servers: nothing twice in one run, and never all models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from modelyard.dashboard.doors import Doors
from modelyard.dashboard.visitor import Visitor
from modelyard.schemas import ModelMetadata, ModelQuery
from modelyard.verbs import Verbs
from tests.dashboard.test_pages import Yard, penguin_model, yard

__all__ = ["penguin_model", "yard"]

pytestmark = pytest.mark.filterwarnings("default")  # Streamlit's own

MOST_MODELS = 100
TABS = ("report", "decision", "errors", "drift", "versions", "details")
PAGES: list[tuple[str, dict[str, str]]] = [
    ("overview", {}),
    ("predict", {}),
    ("predict", {"way": "row"}),
    ("models", {}),
    ("compare", {}),
    ("jobs", {}),
    ("audit", {}),
    ("name", {"name": "birds"}),
    ("train", {"parent": "birds"}),
    *(("model", {"id": "birds", "tab": tab}) for tab in TABS),
]


class Counted:
    """A client that keeps what it was asked."""

    def __init__(self, client: Verbs, asked: list[str]) -> None:
        self._client = client
        self._asked = asked

    def __getattr__(self, verb: str) -> Any:
        found = getattr(self._client, verb)
        if not callable(found) or verb == "close":
            return found

        def ask(*given: Any, **named: Any) -> Any:
            self._asked.append(f"{verb} {given} {named}")
            if given and isinstance(given[0], ModelQuery):
                assert given[0].limit <= MOST_MODELS
            return found(*given, **named)

        return ask


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What pages ask from now on."""
    calls: list[str] = []
    client: Callable[..., Verbs] = Visitor.client
    monkeypatch.setattr(Visitor, "client", lambda self, doors, name: Counted(client(self, doors, name), calls))
    return calls


@pytest.mark.parametrize(("page", "query"), PAGES, ids=[f"{page}-{'-'.join(query.values())}" for page, query in PAGES])
def test_a_page_asks_nothing_twice(
    yard: Yard, penguin_model: ModelMetadata, asked: list[str], page: str, query: dict[str, str]
) -> None:
    app = yard.open(page, **query)
    assert not app.exception
    assert not app.error
    twice = {call for call in asked if asked.count(call) > 1}
    assert not twice
    assert asked


def test_what_is_counted_is_what_a_client_is_asked(yard: Yard, asked: list[str]) -> None:
    client = Visitor().client(Doors(yard.rest_url, yard.grpc_target), "rest")
    assert client.list_models(ModelQuery(limit=1)) is not None
    assert asked[0].startswith("list_models (ModelQuery(")
