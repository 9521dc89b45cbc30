"""The methods of `inference.GRPCInferenceService`: each decodes, makes one call on the desk and encodes."""

from __future__ import annotations

from modelyard.grpc_server.gate import RpcCall
from modelyard.grpc_server.open_inference import codec
from modelyard.grpc_server.pb import open_inference_pb2 as pb
from modelyard.ml_core.desk import SMALL_BYTES, Desk
from modelyard.open_inference import (
    BY_DEFAULT,
    PROBABILITIES,
    about_model,
    about_server,
    outputs_of,
    parameters_of,
    reference_of,
    table_of,
    wants,
)
from modelyard.schemas import Predictions, PredictRequest
from modelyard.tables import FEW_ROWS

DESCRIPTOR = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"]


class InferenceService:
    """One method for each of the protocol's, named alike in snake case."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def server_live(self, call: RpcCall) -> pb.ServerLiveResponse:
        """Say that the process answers."""
        call.message()
        return pb.ServerLiveResponse(live=True)

    async def server_ready(self, call: RpcCall) -> pb.ServerReadyResponse:
        """Say whether models can be asked."""
        call.message()
        return pb.ServerReadyResponse(ready=(await self._desk.health()).status == "ok")

    async def model_ready(self, call: RpcCall) -> pb.ModelReadyResponse:
        """Say that a model can be asked."""
        message = call.message()
        self._desk.get_active(reference_of(message.name, message.version))
        return pb.ModelReadyResponse(ready=True)

    async def server_metadata(self, call: RpcCall) -> pb.ServerMetadataResponse:
        """Say which server this is."""
        call.message()
        return pb.ServerMetadataResponse(**about_server((await self._desk.health()).version))

    async def model_metadata(self, call: RpcCall) -> pb.ModelMetadataResponse:
        """Say which tensors a model takes and gives."""
        message = call.message()
        model = self._desk.get_active(reference_of(message.name, message.version))
        return codec.write_metadata(about_model(message.name, model, await self._desk.versions_of(model.name)))

    def model_infer_at_once(self, call: RpcCall) -> bytes | None:
        """Predict for a few rows, if the model is loaded and answers without delay."""
        if call.size > SMALL_BYTES:
            return None
        asked = _Asked(self._desk, call)
        return self._desk.predict_at_once(call.size, asked.read, asked.write) if asked.is_short else None

    async def model_infer(self, call: RpcCall) -> bytes:
        """Predict for each row of the input tensors."""
        asked = _Asked(self._desk, call)
        return (await self._desk.predict(call.size, asked.read, asked.write)).content


class _Asked:
    """One request: how it is read, and how its answer is written."""

    def __init__(self, desk: Desk, call: RpcCall) -> None:
        message = call.message()
        self._desk = desk
        self._message = message
        self._raw: list[bytes] = list(message.raw_input_contents)
        self._id: str = message.id
        self._row: codec.Row | None = None
        self._wanted = BY_DEFAULT
        message.ClearField("raw_input_contents")
        message.ClearField("id")
        if self._raw and call.size <= SMALL_BYTES:
            self._row = codec.row_of(message.SerializeToString())

    @property
    def is_short(self) -> bool:
        """Whether the table is of few rows, as its first tensor says."""
        if self._row is not None:
            return True
        inputs = self._message.inputs
        return not inputs or not inputs[0].shape or inputs[0].shape[0] <= FEW_ROWS

    def read(self) -> PredictRequest:
        """Read the tensors. Raises InvalidRequest, InvalidTable, and for a table in one tensor ModelNotFound."""
        record = None if self._row is None else self._row.record(self._raw)
        if self._row is not None and record is not None:
            reference, self._wanted = self._row.reference, self._row.wanted
            return PredictRequest(model_id=reference, X=[record], probabilities=PROBABILITIES in self._wanted)
        message = self._message
        self._wanted = wants(message.outputs, codec.read_parameters(message))
        tensors = codec.read_tensors(message, self._raw)
        reference = reference_of(message.model_name, message.model_version)
        return table_of(tensors, reference, self._wanted, self._desk.get_active)

    def write(self, found: Predictions) -> bytes:
        """Write the answer: in raw contents if the inputs came so, else in typed ones."""
        write = codec.write_raw if self._raw else codec.write_typed
        version = self._desk.version_of(found.model_id)
        outputs = outputs_of(found, self._wanted)
        return write(self._message.model_name, self._id, version, parameters_of(found), outputs)
