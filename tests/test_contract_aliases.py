"""What every door promises of aliases: set, moved, expected, protected, meant in references, listed, remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from uuid import uuid4

import pytest

from modelyard import errors
from modelyard.schemas import AliasRequest, DefaultAlias, Evaluation, ModelQuery, PredictRequest, TrainRequest
from modelyard.verbs import Verbs
from tests import doors

DOORS: dict[str, Callable[[Path], AbstractContextManager[Verbs]]] = {
    "core": doors.core,
    "rest": doors.rest,
    "grpc": doors.grpc,
}


@pytest.fixture(scope="module", params=list(DOORS))
def yard(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verbs]:
    with DOORS[request.param](tmp_path_factory.mktemp("yard") / "models_storage") as opened:
        yield opened


@pytest.fixture
def name(yard: Verbs) -> str:
    """A name with three versions."""
    made = f"model-{uuid4().hex[:8]}"
    for _ in range(3):
        train(yard, made)
    return made


def train(yard: Verbs, name: str) -> str:
    X = [[float(i % 7), float(i % 3)] for i in range(40)]
    y = ["no", "yes"] * 20
    order = TrainRequest(
        model_class_key="logistic_regression", X=X, y=y, name=name, evaluation=Evaluation(method="none")
    )
    return yard.train(order).model_id


def answered_by(yard: Verbs, reference: str) -> int:
    model_id = yard.predict(PredictRequest(model_id=reference, X=[[1.0, 2.0]])).model_id
    return yard.get_model(model_id).version


def to(version: int) -> AliasRequest:
    return AliasRequest(version=version)


def test_an_alias_is_set_moved_and_meant_wherever_a_reference_may_stand(yard: Verbs, name: str) -> None:
    first = yard.set_alias(name, "champion", to(1))
    assert (first.name, first.alias, first.version, first.previous) == (name, "champion", 1, None)
    assert first.model_id == yard.get_model(f"{name}:1").model_id
    assert answered_by(yard, f"{name}@champion") == 1
    assert answered_by(yard, name) == 3
    moved = yard.set_alias(name, "champion", to(2))
    assert (moved.version, moved.previous) == (2, 1)
    assert answered_by(yard, f"{name}@champion") == 2
    assert yard.get_report(f"{name}@champion") == yard.get_report(f"{name}:2")
    assert yard.get_history(f"{name}@champion").version == 2
    assert yard.get_model(f"{name}@champion").aliases == ["champion"]
    shown = {model.version: model.aliases for model in yard.list_models(ModelQuery(name=name)).models}
    assert shown == {3: [], 2: ["champion"], 1: []}


def test_latest_is_reserved_and_means_the_newest_active_version(yard: Verbs, name: str) -> None:
    assert answered_by(yard, f"{name}@latest") == 3
    yard.delete(f"{name}:3")
    assert answered_by(yard, f"{name}@latest") == 2
    with pytest.raises(errors.InvalidRequest, match="always means the newest active version"):
        yard.set_alias(name, "latest", to(1))


def test_a_move_happens_only_from_where_it_is_expected(yard: Verbs, name: str) -> None:
    yard.set_alias(name, "live", AliasRequest(version=1, expected=None))
    with pytest.raises(errors.Aborted, match="was expected nowhere, it is at version 1"):
        yard.set_alias(name, "live", AliasRequest(version=2, expected=None))
    with pytest.raises(errors.Aborted, match="was expected at version 3, it is at version 1"):
        yard.set_alias(name, "live", AliasRequest(version=2, expected=3))
    assert yard.set_alias(name, "live", AliasRequest(version=2, expected=1)).previous == 1


def test_moves_are_remembered_also_after_the_alias_was_deleted(yard: Verbs, name: str) -> None:
    for version in (1, 3, 3, 2):
        yard.set_alias(name, "live", to(version))
    (listed,) = yard.list_aliases(name).aliases
    assert (listed.alias, listed.version) == ("live", 2)
    yard.delete_alias(name, "live")
    assert yard.list_aliases(name).aliases == []
    yard.set_alias(name, "live", to(1))
    moves = yard.get_alias_history(name, "live").moves
    assert [move.version for move in moves] == [1, 3, 2, None, 1]
    assert [move.at for move in moves] == sorted(move.at for move in moves)
    assert all(move.by for move in moves)


def test_what_an_alias_points_to_cannot_be_deleted(yard: Verbs, name: str) -> None:
    yard.set_alias(name, "live", to(2))
    for hard in (False, True):
        with pytest.raises(errors.FailedPrecondition, match=f"{name}:2 cannot be deleted while it is {name}@live"):
            yard.delete(f"{name}:2", hard=hard)
    yard.set_alias(name, "live", to(3))
    yard.delete(f"{name}:2")
    with pytest.raises(errors.ModelNotFound, match="is deleted"):
        yard.set_alias(name, "live", to(2))


def test_what_is_not_there_is_not_found_and_what_is_wrong_is_refused(yard: Verbs, name: str) -> None:
    with pytest.raises(errors.ModelNotFound, match=f"'{name}' has no alias 'next'; its aliases: none"):
        yard.get_model(f"{name}@next")
    with pytest.raises(errors.ModelNotFound, match="there is no version 9"):
        yard.set_alias(name, "live", to(9))
    with pytest.raises(errors.ModelNotFound, match="there is no model named 'nobody'"):
        yard.list_aliases("nobody")
    for never in (lambda: yard.delete_alias(name, "live"), lambda: yard.get_alias_history(name, "live")):
        with pytest.raises(errors.AliasNotFound):
            never()
    with pytest.raises(errors.InvalidRequest, match="must be 1 to 64 small letters"):
        yard.set_alias(name, "Live", to(1))


def test_a_default_alias_is_what_a_name_alone_means(yard: Verbs, name: str) -> None:
    assert yard.get_default_alias().alias is None
    yard.set_alias(name, "live", to(1))
    try:
        assert yard.set_default_alias(DefaultAlias(alias="live")).alias == "live"
        assert yard.get_default_alias().alias == "live"
        assert answered_by(yard, name) == 1
        train(yard, name)
        assert answered_by(yard, name) == 1
        assert answered_by(yard, f"{name}@latest") == 4
        yard.set_alias(name, "live", to(2))
        assert answered_by(yard, name) == 2
        yard.delete_alias(name, "live")
        assert answered_by(yard, name) == 4
    finally:
        yard.set_default_alias(DefaultAlias(alias=None))
