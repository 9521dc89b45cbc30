"""Ids in the answers of gRPC: one Value a row, in each answer of a stream."""

from __future__ import annotations

from pathlib import Path

from modelyard.grpc_server.client import GrpcClient
from modelyard.schemas import Evaluation, PredictRequest, TrainRequest
from tests import doors


def test_a_table_in_chunks_has_all_its_ids(tmp_path: Path) -> None:
    X = [{"key": [f"{row:04d}", row, None][row % 3], "size": row % 50} for row in range(600)]
    y = ["yes" if row["size"] > 20 else "no" for row in X]  # type: ignore[operator]
    with doors.grpc_thread(tmp_path / "models_storage") as target, GrpcClient(target, chunk_mb=0.005) as client:
        request = TrainRequest(model_class_key="logistic_regression", X=X, y=y, evaluation=Evaluation(method="none"))
        model = client.train(request.model_copy(update={"column_roles": {"key": "id"}, "name": "streamed"}))
        assert model.column_roles == {"key": "id"}
        found = client.predict(PredictRequest(model_id="streamed", X=X[:500]))
        assert (found.ids, found.id_column) == ([row["key"] for row in X[:500]], "key")
        without = client.predict(PredictRequest(model_id="streamed", X=[{"size": 3}] * 500))
        assert (without.ids, without.id_column) == (None, None)
