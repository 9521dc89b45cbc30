"""Predictions as an answer: in each format that there is, with the time that each step took.

What explanations share with them (tables in those formats, headers) stands here, too.
"""

from __future__ import annotations

import io
import json
from collections.abc import Container, Sequence
from typing import Any

import orjson
import polars as pl

from modelyard.ml_core.answering import Answer
from modelyard.rest_api.formats import JSON
from modelyard.schemas import ModelWarning, Prediction, Predictions
from modelyard.tables.parts import free_name

CSV = "text/csv"
PARQUET = "application/vnd.apache.parquet"
ARROW_STREAM = "application/vnd.apache.arrow.stream"
ARROW_FILE = "application/vnd.apache.arrow.file"
MEDIA_TYPES = (JSON, CSV, PARQUET, ARROW_STREAM, ARROW_FILE)

_MAX_HEADER_CHARS = 4000


def timing(answer: Answer[Any]) -> str:
    """Return the Server-Timing header of an answer: each step in milliseconds."""
    parse, predict, encode = answer.read_s * 1e3, answer.predict_s * 1e3, answer.write_s * 1e3
    return f"parse;dur={parse:.3f}, predict;dur={predict:.3f}, encode;dur={encode:.3f}"


def answer_headers(model_id: str, warnings: list[ModelWarning]) -> dict[str, str]:
    """Return the headers of an answer that may be a table: the model's id, and the warnings if there are any."""
    return {"X-Model-Id": model_id, **_in_header(warnings)}


def write_json(found: Predictions) -> bytes:
    """Write predictions as JSON."""
    document: dict[str, Any] = {
        "model_id": found.model_id,
        "predictions": found.predictions,
        "classes": found.classes,
        "probabilities": found.probabilities,
        "intervals": found.intervals,
        "ids": found.ids,
        "id_column": found.id_column,
        "warnings": [warning.model_dump(exclude_none=True) for warning in found.warnings],
        "decision": None if found.decision is None else orjson.Fragment(found.decision.json_text),
        "prediction_id": found.prediction_id,
    }
    return orjson.dumps(document)


def write(found: Predictions, media_type: str) -> bytes:
    """Write predictions in one of MEDIA_TYPES.

    Tables have the ids first, if there are any, under the name of their own column; then the column `prediction`, and
    `probability_<label>` for each class, or `low` and `high`, if these were asked for.
    """
    if media_type == JSON:
        return write_json(found)
    columns = [pl.Series("prediction", found.predictions)]
    if found.probabilities is not None and found.classes is not None:
        scores = pl.DataFrame(found.probabilities, orient="row", schema=[str(i) for i in range(len(found.classes))])
        names = [f"probability_{label_text(label)}" for label in found.classes]
        columns += [scores.to_series(i).alias(name) for i, name in enumerate(names)]
    if found.intervals is not None:
        ends = pl.DataFrame(found.intervals, orient="row", schema={"low": pl.Float64, "high": pl.Float64})
        columns += ends.get_columns()
    ids = id_columns(found.id_column, found.ids, {column.name for column in columns})
    return write_frame(pl.DataFrame([*ids, *columns]), media_type)


def write_frame(frame: pl.DataFrame, media_type: str) -> bytes:
    """Write a table in one of MEDIA_TYPES beyond JSON."""
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


def id_columns(
    id_column: str | None, ids: Sequence[Prediction | None] | None, taken: Container[str]
) -> list[pl.Series]:
    """Return the column of ids if there is one, mixed ids as texts. A name that is `taken` gets an underscore more."""
    if ids is None or id_column is None:
        return []
    name = free_name(id_column, taken)
    if len({type(cell) for cell in ids if cell is not None}) == 1:
        return [pl.Series(name, ids)]
    return [pl.Series(name, [None if cell is None else label_text(cell) for cell in ids], dtype=pl.String)]


def label_text(label: Prediction) -> str:
    """Return a label as JSON writes it, texts without quotes."""
    return str(label).lower() if isinstance(label, bool) else str(label)


def _in_header(warnings: list[ModelWarning]) -> dict[str, str]:
    if not warnings:
        return {}
    written = [json.dumps(warning.model_dump(exclude_none=True)) for warning in warnings]  # in ASCII, as headers are
    while sum(map(len, written)) > _MAX_HEADER_CHARS:
        written.pop()
    if left_out := len(warnings) - len(written):
        written.append(json.dumps({"code": "more_warnings", "message": f"{left_out} more", "count": left_out}))
    return {"X-Warnings": f"[{', '.join(written)}]"}
