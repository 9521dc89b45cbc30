"""A contract as JSON, the form in which a model's metadata keeps it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson

from modelyard.errors import DataLoss, FailedPrecondition
from modelyard.tables.contract import (
    MISSING_CATEGORY,
    CategoricalColumn,
    Contract,
    DatetimeColumn,
    escape_category,
    unescape_category,
)
from modelyard.tables.spelling import Spelling

FORMATS = (1, 2, 3)
"""The editions of a contract's rules that this release reads; the format is the edition."""


def contract_to_json(contract: Contract) -> bytes:
    """Write a contract; the missing category becomes null, all others the text they came as."""
    return orjson.dumps(
        {
            "format": contract.edition,
            "feature_types": contract.feature_types,
            "categorical": {
                name: {
                    "categories": [unescape_category(text) for text in column.categories],
                    "source": column.source,
                    "counts": column.counts,
                }
                for name, column in contract.categorical.items()
            },
            "classes": contract.classes,
            "missing_markers": contract.missing_markers,
            "spellings": contract.spellings,
            "datetimes": contract.datetimes,
        }
    )


def contract_from_json(data: bytes) -> Contract:
    """Read what `contract_to_json` wrote.

    Raises FailedPrecondition for the format of a newer release, DataLoss if the data is no contract.
    """
    try:
        document = orjson.loads(data)
        if document["format"] not in FORMATS:
            raise FailedPrecondition(
                f"the contract has format {document['format']}, this release reads formats up to {FORMATS[-1]}"
            )
        return Contract(
            document["feature_types"],
            {name: _categorical(column) for name, column in document["categorical"].items()},
            tuple(document["classes"]),
            tuple(document["missing_markers"]),
            {name: Spelling(**spelling) for name, spelling in document.get("spellings", {}).items()},
            document["format"],
            {
                name: DatetimeColumn(datetime.fromisoformat(column["first"]))
                for name, column in document.get("datetimes", {}).items()
            },
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataLoss(f"the contract cannot be read: {error!r}") from None


def _categorical(column: dict[str, Any]) -> CategoricalColumn:
    categories, counts = column["categories"], column.get("counts")
    return CategoricalColumn(
        tuple(map(_estimators_form, categories)), column["source"], None if counts is None else tuple(counts)
    )


def _estimators_form(text: str | None) -> str:
    return MISSING_CATEGORY if text is None else escape_category(text)
