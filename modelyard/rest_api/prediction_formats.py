"""Predictions as an answer: in each format that there is, with the time that each step took."""

from __future__ import annotations

import io
from typing import Any

import orjson
import polars as pl

from modelyard.ml_core.desk import Answer
from modelyard.rest_api.formats import JSON
from modelyard.schemas import Predictions

CSV = "text/csv"
PARQUET = "application/vnd.apache.parquet"
ARROW_STREAM = "application/vnd.apache.arrow.stream"
ARROW_FILE = "application/vnd.apache.arrow.file"
MEDIA_TYPES = (JSON, CSV, PARQUET, ARROW_STREAM, ARROW_FILE)


def timing(answer: Answer[Any]) -> str:
    """Return the Server-Timing header of an answer: each step in milliseconds."""
    parse, predict, encode = answer.read_s * 1e3, answer.predict_s * 1e3, answer.write_s * 1e3
    return f"parse;dur={parse:.3f}, predict;dur={predict:.3f}, encode;dur={encode:.3f}"


def write_json(found: Predictions) -> bytes:
    """Write predictions as JSON."""
    document: dict[str, Any] = {
        "model_id": found.model_id,
        "predictions": found.predictions,
        "classes": found.classes,
        "probabilities": found.probabilities,
        "warnings": [warning.model_dump(exclude_none=True) for warning in found.warnings],
        "decision": None if found.decision is None else orjson.Fragment(found.decision.json_text),
    }
    return orjson.dumps(document)


def write(found: Predictions, media_type: str) -> bytes:
    """Write predictions in one of MEDIA_TYPES.

    Tables have the column `prediction`, then `probability_<label>` for each class if probabilities were asked for.
    """
    if media_type == JSON:
        return write_json(found)
    columns = [pl.Series("prediction", found.predictions)]
    if found.probabilities is not None and found.classes is not None:
        scores = pl.DataFrame(found.probabilities, orient="row", schema=[str(i) for i in range(len(found.classes))])
        columns += [scores.to_series(i).alias(f"probability_{_text(label)}") for i, label in enumerate(found.classes)]
    frame = pl.DataFrame(columns)
    out = io.BytesIO()
    if media_type == CSV:
        frame.write_csv(out)
    elif media_type == PARQUET:
        frame.write_parquet(out)
    elif media_type == ARROW_STREAM:
        frame.write_ipc_stream(out)
    else:
        frame.write_ipc(out)
    return out.getvalue()


def _text(label: bool | int | str) -> str:
    return str(label).lower() if isinstance(label, bool) else str(label)
