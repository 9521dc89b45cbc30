"""Whether a decision goes with a model: the labels that it names, and what its costs say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from modelyard.errors import FieldError, InvalidRequest
from modelyard.ml_core.deciding.deciders import Floats, cost_matrix
from modelyard.schemas import Decision, Label, ModelWarning
from modelyard.schemas.showing import label_text, shown

_MOST_NAMED = 20


def check_decision(decision: Decision, classes: Sequence[Label], place: tuple[str, ...] = ("decision",)) -> None:
    """Refuse a decision that does not go with these classes; `place` is where it stands in the request.

    Raises InvalidRequest for regression (no classes), for labels that are none of the classes, for a class that is left
    out although there are more than two, and for costs that make no difference.
    """
    if not classes:
        message = "a decision goes with classification alone; regression predicts numbers"
        raise InvalidRequest.of([FieldError(place, message)])
    if errors := list(_wrong_labels(decision, [label_text(label) for label in classes], place)):
        raise InvalidRequest.of(errors)
    if decision.costs is not None:
        matrix = cost_matrix(decision.costs, classes)
        if (matrix == matrix[:, :1]).all():
            message = "costs must make a difference: here every answer to a row costs the same"
            raise InvalidRequest.of([FieldError((*place, "costs"), message)])


def check_class(label: str, classes: Sequence[Label]) -> None:
    """Raise InvalidRequest for a label, as text, that is none of the classes."""
    known = [label_text(one) for one in classes]
    if label not in known:
        raise InvalidRequest.of([_unknown(("class",), label, known, ())])


def class_code(decision: Decision, classes: Sequence[Label]) -> int:
    """Return the code of the class that a checked decision is about; it is the second if it names none."""
    return 1 if decision.label is None else [label_text(label) for label in classes].index(decision.label)


def doubtful_costs(matrix: Floats, classes: Sequence[Label]) -> tuple[ModelWarning, ...]:
    """Warn of labels whose right answer costs more than a wrong one, because gains may have been given as costs."""
    dear = np.flatnonzero(np.diag(matrix) > matrix.min(axis=1)).tolist()
    if not dear:
        return ()
    named = ", ".join(shown(classes[code]) for code in dear[:_MOST_NAMED])
    message = f"a right answer costs more than a wrong one for rows of {named}; gains are negative costs"
    return (ModelWarning(code="dear_right_answers", message=message, count=len(dear)),)


def _wrong_labels(decision: Decision, known: Sequence[str], place: tuple[str, ...]) -> Iterator[FieldError]:
    named: list[tuple[tuple[str, ...], str]] = []
    if decision.label is not None:
        named.append((("class",), decision.label))
    elif decision.rule in ("threshold", "capacity") and len(known) > 2:
        message = f"rule {decision.rule!r} needs field 'class' for a model of {len(known)} classes: {_listed(known)}"
        yield FieldError((*place, "class"), message)
    for true, row in sorted((decision.costs or {}).items()):  # maps on the wire have no order
        named.append((("costs", true), true))
        named += [(("costs", true, predicted), predicted) for predicted in sorted(row)]
    for at, label in named:
        if label not in known:
            yield _unknown(at, label, known, place)


def _unknown(at: tuple[str, ...], label: str, known: Sequence[str], place: tuple[str, ...]) -> FieldError:
    message = f"{'.'.join(at[:1])} {shown(label)} is none of the model's classes: {_listed(known)}"
    return FieldError((*place, *at), message, label)


def _listed(known: Sequence[str]) -> str:
    return ", ".join(map(shown, known[:_MOST_NAMED])) + (", ..." if len(known) > _MOST_NAMED else "")
