"""Fitted estimators as bytes and back. Whether bytes may be unpickled is decided before they come here."""

from __future__ import annotations

import pickle
import warnings
from io import BytesIO
from typing import Any

from modelyard.errors import EnvironmentMismatch

_UNPICKLING_ERRORS = (
    pickle.UnpicklingError,
    ImportError,
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    OSError,  # a library of the system is missing
    TypeError,
    ValueError,
)


def pickled(estimator: Any) -> bytes:
    """Return an estimator as the content of its file."""
    import joblib

    buffer = BytesIO()
    joblib.dump(estimator, buffer)
    return buffer.getvalue()


def unpickle(content: bytes, model: str) -> Any:
    """Return the estimator in a file of `model`. Raises EnvironmentMismatch if it cannot be unpickled here."""
    import joblib

    # scikit-learn warns of every other version, of patches too: which ones are let in was decided before.
    warnings.filterwarnings("ignore", "Trying to unpickle estimator")
    try:
        return joblib.load(BytesIO(content))
    except _UNPICKLING_ERRORS as error:
        raise EnvironmentMismatch(
            f"{model} cannot be loaded in this environment ({type(error).__name__}: {error}): retrain it"
        ) from error
