"""The methods of the service for kept answers and outcomes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from modelyard.grpc_server import messages
from modelyard.grpc_server.gate import RpcCall
from modelyard.grpc_server.labelled_tables import reading
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.grpc_server.table_messages import opened
from modelyard.ml_core.desk import Desk
from modelyard.ml_core.yard import Yard
from modelyard.schemas import KeepAnswersRequest, OutcomesRequest, PerformanceQuery, parse


class OutcomeService:
    """The part of `modelyard.v1.ModelService` that learns what really happened."""

    _desk: Desk

    async def set_keep_answers(self, call: RpcCall) -> pb.KeptName:
        """Keep all predictions by a name, or no longer."""
        message = call.message()
        wanted = KeepAnswersRequest(keep=message.keep)
        return messages.write(pb.KeptName, await self._desk.ask(Yard.set_keep_answers, message.name, wanted))

    async def add_outcomes(self, call: RpcCall) -> pb.AddOutcomesResponse:
        """Join what really happened to kept answers, in a thread."""
        message = call.message()

        @contextmanager
        def read_request() -> Iterator[OutcomesRequest]:
            with opened(message.X) as sent:
                fields = {"model_id": message.model_id, "X": sent.X, **reading(message)}
                yield parse(OutcomesRequest, fields)

        return messages.write(pb.AddOutcomesResponse, await self._desk.add_outcomes(read_request))

    async def get_performance(self, call: RpcCall) -> pb.Performance:
        """Say how good the answers of a model were."""
        message = call.message()
        query = parse(PerformanceQuery, {"weeks": message.weeks} if message.HasField("weeks") else {})
        return messages.write(pb.Performance, await self._desk.ask(Yard.get_performance, message.model_id, query))
