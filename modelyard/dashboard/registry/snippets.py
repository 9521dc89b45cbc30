"""How a program asks a model: a row of the model's own columns, written for the shell, Python, gRPC and the CLI."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelyard.dashboard.row_form import usual
from modelyard.schemas import ModelMetadata

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """A call: the reference that is asked, where REST and gRPC are, one row, and what is to be said of it.

    `grpc_target` is `host:port`, `grpcs://` before it over TLS. With `key`, the call shows the one in MODELYARD_KEY.
    """

    reference: str
    rest_url: str
    grpc_target: str
    row: Row
    probabilities: bool
    key: bool


def typical_row(model: ModelMetadata, columns: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the row with which the form for one begins; None stands for cells that mostly lack, or are unknown."""
    return {name: _whole(usual(columns.get(name, {}), model.n_rows)) for name in model.feature_names}


def curl(call: Call) -> str:
    """Write the call for curl."""
    key = ' -H "Authorization: Bearer $MODELYARD_KEY"' if call.key else ""
    body = {"model_id": call.reference, "X": [dict(call.row)], **_probabilities(call)}
    url = shlex.quote(call.rest_url.rstrip("/") + "/predict")
    return f"curl -s {url}{key} -H 'Content-Type: application/json' \\\n  -d {_quoted(body)}"


def python(call: Call) -> str:
    """Write the call for Python."""
    shown = ', os.environ["MODELYARD_KEY"]' if call.key else ""
    asked = f"model_id={call.reference!r}, X=[row]" + (", probabilities=True" if call.probabilities else "")
    return "\n".join(
        [
            *(["import os", ""] if call.key else []),
            "import modelyard",
            "from modelyard import PredictRequest",
            "",
            f"row = {dict(call.row)!r}",
            f"with modelyard.connect({call.rest_url!r}{shown}) as yard:",
            f"    found = yard.predict(PredictRequest({asked}))",
            "print(found.predictions" + (", found.probabilities)" if call.probabilities else ")"),
        ]
    )


def grpcurl(call: Call) -> str:
    """Write the call for grpcurl."""
    key = ' -H "authorization: Bearer $MODELYARD_KEY"' if call.key else ""
    plain = "" if call.grpc_target.startswith("grpcs://") else " -plaintext"
    target = call.grpc_target.removeprefix("grpcs://").removeprefix("grpc://")
    return (
        f"grpcurl{plain}{key} -d {_quoted(grpc_message(call))} \\\n"
        f"  {shlex.quote(target)} modelyard.v1.ModelService/Predict"
    )


def grpc_message(call: Call) -> dict[str, Any]:
    """Return the message of the call in protobuf's JSON."""
    cells = [_value(cell) for cell in call.row.values()]
    table = {"rows": {"names": list(call.row), "rows": [{"values": cells}]}}
    return {"model_id": call.reference, "X": table, **_probabilities(call)}


def command_line(call: Call) -> str:
    """Write the call for the command line, which reads the key in MODELYARD_KEY by itself."""
    options = " --probabilities" if call.probabilities else ""
    url = shlex.quote(call.rest_url)
    table = _quoted([dict(call.row)])
    return f"printf '%s' {table} |\n  modelyard predict {shlex.quote(call.reference)} -{options} --url {url}"


def _whole(cell: Any) -> Any:
    """Write a whole number as one."""
    return int(cell) if isinstance(cell, float) and cell.is_integer() else cell


def _value(cell: Any) -> dict[str, Any]:
    """Return a cell as protobuf's JSON has it: whole numbers of 64 bits are texts there."""
    if cell is None:
        return {"null_value": None}
    if isinstance(cell, bool):
        return {"bool_value": cell}
    if isinstance(cell, int):
        return {"int64_value": str(cell)}
    return {"double_value": cell} if isinstance(cell, float) else {"string_value": cell}


def _probabilities(call: Call) -> dict[str, bool]:
    return {"probabilities": True} if call.probabilities else {}


def _quoted(document: Any) -> str:
    return shlex.quote(json.dumps(document, ensure_ascii=False))
