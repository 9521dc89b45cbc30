"""A contract as JSON, the form in which a model's metadata keeps it."""

from __future__ import annotations

import orjson

from modelyard.errors import DataLoss, FailedPrecondition
from modelyard.tables.contract import MISSING_CATEGORY, CategoricalColumn, Contract, escape_category, unescape_category

FORMAT = 1


def contract_to_json(contract: Contract) -> bytes:
    """Write a contract; the missing category becomes null, all others the text they came as."""
    return orjson.dumps(
        {
            "format": FORMAT,
            "feature_types": contract.feature_types,
            "categorical": {
                name: {"categories": [unescape_category(text) for text in column.categories], "source": column.source}
                for name, column in contract.categorical.items()
            },
            "classes": contract.classes,
            "missing_markers": contract.missing_markers,
        }
    )


def contract_from_json(data: bytes) -> Contract:
    """Read what `contract_to_json` wrote.

    Raises FailedPrecondition for the format of a newer release, DataLoss for what is no contract.
    """
    try:
        document = orjson.loads(data)
        if document["format"] != FORMAT:
            raise FailedPrecondition(
                f"the contract has format {document['format']}, this release reads format {FORMAT}"
            )
        return Contract(
            document["feature_types"],
            {
                name: CategoricalColumn(tuple(map(_estimators_form, column["categories"])), column["source"])
                for name, column in document["categorical"].items()
            },
            tuple(document["classes"]),
            tuple(document["missing_markers"]),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise DataLoss(f"the contract cannot be read: {error!r}") from None


def _estimators_form(text: str | None) -> str:
    return MISSING_CATEGORY if text is None else escape_category(text)
