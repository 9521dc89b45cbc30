"""Metadata: what the protocol tells of the server, and of the tensors that a model takes and gives."""

from __future__ import annotations

from typing import Any

from modelyard.open_inference.answers import PREDICT, PROBABILITIES, datatype_of
from modelyard.schemas import ModelMetadata


def about_server(version: str | None) -> dict[str, Any]:
    """Return the fields of the server's metadata. `version` is None for callers who may not know it."""
    return {"name": "modelyard", "version": version or "", "extensions": ["binary_tensor_data"]}


def about_model(name: str, model: ModelMetadata, versions: list[int]) -> dict[str, Any]:
    """Return the fields of a model's metadata; `name` is the one that it was asked for by.

    Numbers are told as FP64 and all other columns as BYTES; tensors of the other types are read as well. -1 in a shape
    is any number of rows. The parameter `matrix` says that one tensor [n, k] may hold all columns, in this order.
    """
    kinds = model.feature_types
    outputs = [_tensor(PREDICT, datatype_of(model.classes), -1)]
    if model.classes:
        outputs.append(_tensor(PROBABILITIES, "FP64", -1, len(model.classes)))
    return {
        "name": name,
        "versions": list(map(str, versions)),
        "platform": f"modelyard_{model.model_class_key}",
        "inputs": [_tensor(one, "FP64" if kinds[one] == "numeric" else "BYTES", -1) for one in model.feature_names],
        "outputs": outputs,
        "parameters": {"matrix": len(kinds) > 1 and set(kinds.values()) == {"numeric"}},
    }


def _tensor(name: str, datatype: str, *shape: int) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": list(shape)}
