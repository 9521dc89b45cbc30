"""Inference requests from messages, and answers into messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelyard.errors import InvalidRequest
from modelyard.grpc_server.pb import open_inference_pb2 as pb
from modelyard.open_inference import InferenceRequest, Output, Tensor, WantedOutput, packed
from modelyard.schemas.showing import shown

_CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""Where the typed cells of a datatype are; those of FP16 come raw."""


def read(message: pb.ModelInferRequest) -> InferenceRequest:
    """Read a request; its tensors are not read yet. Raises InvalidRequest."""
    raw = message.raw_input_contents
    if raw and len(raw) != len(message.inputs):
        raise InvalidRequest(f"raw_input_contents must be one for each of {len(message.inputs)} inputs, got {len(raw)}")
    inputs = []
    for at, sent in enumerate(message.inputs):
        data = _typed(sent) if not raw else raw[at]
        if raw and sent.HasField("contents"):
            raise InvalidRequest(
                f"tensor {shown(sent.name)} has its cells twice, as contents and in raw_input_contents"
            )
        inputs.append(Tensor(sent.name, sent.datatype, list(sent.shape), data))
    parameters = {name: _value(one) for name, one in message.parameters.items()}
    return InferenceRequest(inputs, message.id, parameters, [WantedOutput(one.name) for one in message.outputs])


def write(
    asked: pb.ModelInferRequest, version: int, parameters: Mapping[str, str], outputs: list[Output]
) -> pb.ModelInferResponse:
    """Write an answer: in raw contents if the inputs came so, else in typed ones."""
    answer = pb.ModelInferResponse(
        model_name=asked.model_name,
        model_version=str(version),
        id=asked.id,
        parameters=_parameters(parameters),
    )
    for output in outputs:
        written = answer.outputs.add(name=output.name, datatype=output.datatype, shape=output.shape)
        for name, value in (output.parameters or {}).items():
            written.parameters[name].string_param = value
        if asked.raw_input_contents:
            answer.raw_output_contents.append(packed(output.datatype, output.cells))
        else:
            cells = map(str.encode, output.cells) if output.datatype == "BYTES" else output.cells
            getattr(written.contents, _CONTENTS[output.datatype]).extend(cells)
    return answer


def write_metadata(about: Mapping[str, Any]) -> pb.ModelMetadataResponse:
    """Write what `about_model` tells."""
    parameters = {name: pb.InferParameter(bool_param=value) for name, value in about["parameters"].items()}
    return pb.ModelMetadataResponse(**{**about, "parameters": parameters})


def _typed(sent: pb.ModelInferRequest.InferInputTensor) -> list[Any]:
    due = _CONTENTS.get(sent.datatype)
    if due is None:
        return []  # the tensor itself refuses its datatype, or its cells are missing
    given = [field.name for field, _ in sent.contents.ListFields()]
    if given not in ([], [due]):
        raise InvalidRequest(
            f"tensor {shown(sent.name)}: cells of {sent.datatype} must be in {due}, got {', '.join(given)}"
        )
    return list(getattr(sent.contents, due))


def _value(parameter: pb.InferParameter) -> Any:
    kind = parameter.WhichOneof("parameter_choice")
    return None if kind is None else getattr(parameter, kind)


def _parameters(texts: Mapping[str, str]) -> dict[str, pb.InferParameter]:
    return {name: pb.InferParameter(string_param=text) for name, text in texts.items()}
