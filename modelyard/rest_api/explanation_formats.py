"""Explanations as an answer, in each format that there is."""

from __future__ import annotations

from itertools import chain
from typing import Any

import orjson
import polars as pl

from modelyard.rest_api.formats import JSON
from modelyard.rest_api.prediction_formats import id_columns, label_text, write_frame
from modelyard.schemas import Explanations
from modelyard.tables.parts import free_name


def write_json(found: Explanations) -> bytes:
    """Write explanations as JSON."""
    warnings = [warning.model_dump(exclude_none=True) for warning in found.warnings]
    return orjson.dumps({**{name: getattr(found, name) for name in found.__slots__}, "warnings": warnings})


def write(found: Explanations, media_type: str) -> bytes:
    """Write explanations in one of MEDIA_TYPES, as a table if that is not JSON."""
    return write_json(found) if media_type == JSON else write_frame(table(found), media_type)


def table(found: Explanations) -> pl.DataFrame:
    """Return a line a row with `prediction`, `base`, each column's contribution and, if there is one, `other`.

    Ids come first, as in predictions. If there are several outputs, a row has a line for each of them, and `output`
    names it. A column that is called like one of these gets underscores behind its name.
    """
    rows, outputs = len(found.predictions), len(found.outputs)
    before: dict[str, list[Any]] = {"output": [label_text(one) for one in found.outputs] * rows} if outputs > 1 else {}
    before |= {"prediction": [one for one in found.predictions for _ in range(outputs)], "base": found.base * rows}
    after = {} if found.other is None else {"other": list(chain.from_iterable(found.other))}
    ours, theirs = {*before, *after}, set(found.feature_names)
    names = [free_name(name, ours | (theirs - {name})) for name in found.feature_names]
    lines = list(chain.from_iterable(found.contributions))
    shares = pl.DataFrame(lines, schema=dict.fromkeys(names, pl.Float64), orient="row")
    repeated = None if found.ids is None else [one for one in found.ids for _ in range(outputs)]
    ids = id_columns(found.id_column, repeated, ours | set(names))
    return pl.DataFrame([*ids, *pl.DataFrame(before), *shares, *pl.DataFrame(after)])
