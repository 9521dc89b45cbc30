"""Aliases whose model is lost: found by the doctor, deleted by a repair, remembered."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelyard.errors import ModelNotFound
from modelyard.schemas import AliasRequest, Evaluation, TrainRequest
from modelyard.storage.folder import Folder
from modelyard.storage.upkeep import doctor
from modelyard.storage.upkeep.repair import repair
from tests import doors


def test_an_alias_of_a_model_that_is_set_aside_is_deleted_and_its_moves_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "models_storage"
    with doors.core(folder) as yard:
        order = TrainRequest(
            model_class_key="logistic_regression", X=[[0.0], [1.0]] * 10, y=["no", "yes"] * 10, name="churn"
        ).model_copy(update={"evaluation": Evaluation(method="none")})
        ids = [yard.train(order).model_id for _ in range(2)]
        yard.set_alias("churn", "live", AliasRequest(version=1))
        yard.set_alias("churn", "next", AliasRequest(version=2))
    artifact = folder / "artifacts" / ids[0] / "model.pkl"
    artifact.write_bytes(artifact.read_bytes()[:-1])

    found = {
        finding.what: finding.problem for finding in doctor.examine(Folder(folder)).findings if finding.kind == "alias"
    }
    assert found == {"churn@live": f"points to model {ids[0]}, which cannot be used"}
    done = [finding.done for finding in repair(Folder(folder)).findings if finding.kind == "alias"]
    assert done[0] == "deleted; its moves are kept"
    assert doctor.examine(Folder(folder)).is_sound
    with doors.core(folder) as yard:
        assert [alias.alias for alias in yard.list_aliases("churn").aliases] == ["next"]
        assert [move.version for move in yard.get_alias_history("churn", "live").moves] == [1, None]
        with pytest.raises(ModelNotFound, match="has no alias 'live'; its aliases: next"):
            yard.get_model("churn@live")
