"""Predictions as an answer: in the format that `Accept` asks for, with the time that each step took."""

from __future__ import annotations

import io
from typing import Any

import orjson
import polars as pl

from modelyard.errors import InvalidRequest
from modelyard.ml_core.desk import Answer
from modelyard.schemas import Predictions

JSON = "application/json"
CSV = "text/csv"
PARQUET = "application/vnd.apache.parquet"
ARROW_STREAM = "application/vnd.apache.arrow.stream"
ARROW_FILE = "application/vnd.apache.arrow.file"
MEDIA_TYPES = (JSON, CSV, PARQUET, ARROW_STREAM, ARROW_FILE)


def choose(accept: str | None) -> str:
    """Return the media type that an Accept header likes best; JSON if it accepts anything.

    Raises InvalidRequest if it accepts none of MEDIA_TYPES.
    """
    wanted: list[tuple[float, str]] = []
    for part in (accept or "*/*").split(","):
        kind, *params = (piece.strip() for piece in part.lower().split(";"))
        wanted.append((_quality(params), kind))
    for quality, kind in sorted(wanted, key=lambda pair: -pair[0]):
        if quality <= 0:
            break
        if kind in ("*/*", "", "application/*"):
            return JSON
        if kind in MEDIA_TYPES:
            return kind
        if kind == "text/*":
            return CSV
    raise InvalidRequest(f"Accept {accept!r} is not among what can be answered: {', '.join(MEDIA_TYPES)}")


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
    }
    return orjson.dumps(document)


def write(found: Predictions, media_type: str) -> bytes:
    """Write predictions in one of MEDIA_TYPES.

    Tables have the column `prediction`, then `probability_<label>` for each class if probabilities were asked for.
    """
    if media_type == JSON:
        return write_json(found)
    columns = [pl.Series("prediction", found.predictions)]
    if found.probabilities is not None:
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


def _quality(params: list[str]) -> float:
    for param in params:
        if param.startswith("q="):
            try:
                return float(param[2:])
            except ValueError:
                return 0.0
    return 1.0


def _text(label: bool | int | str) -> str:
    return str(label).lower() if isinstance(label, bool) else str(label)
