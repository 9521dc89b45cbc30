"""Everything that can go wrong, as one tree of exceptions.

Each class carries a canonical code word (the names of gRPC's statuses). Doors translate the word and
know nothing of the classes, so a new error is a new class here and no change anywhere else::

    ModelyardError                      INTERNAL
    ├── InvalidArgument                 INVALID_ARGUMENT
    │   ├── InvalidRequest                  the request's own fields
    │   ├── InvalidTable                    cells, columns, labels, files
    │   ├── InvalidHyperparams              values and pairs a model class cannot take
    │   ├── FormatNotTaken                  a body of a type or a coding that is not read there
    │   ├── FormatNotGiven                  an answer wanted in types in which there is none
    │   └── NoYard                          a folder that holds no yard
    ├── Unauthenticated                 UNAUTHENTICATED
    ├── PermissionDenied                PERMISSION_DENIED
    ├── NotFound                        NOT_FOUND
    │   ├── ModelNotFound
    │   ├── ModelClassNotFound
    │   ├── JobNotFound
    │   ├── KeyNotFound
    │   └── AliasNotFound
    ├── AlreadyExists                   ALREADY_EXISTS
    ├── Aborted                         ABORTED
    │   └── IdempotencyConflict             one key, two different requests
    ├── FailedPrecondition              FAILED_PRECONDITION
    │   ├── ModelGone                       restoring what was deleted for good
    │   ├── Unsigned                        a model that no key of this yard has signed
    │   └── EnvironmentMismatch             an artifact of another library version
    ├── ResourceExhausted               RESOURCE_EXHAUSTED
    │   ├── PayloadTooLarge                 a body over the limit
    │   └── TooManyRequests                 a queue that is full, a rate that is exceeded
    ├── Cancelled                       CANCELLED
    ├── DeadlineExceeded                DEADLINE_EXCEEDED
    │   └── RequestTimedOut                 a request whose head or body stopped coming
    ├── Unavailable                     UNAVAILABLE
    ├── DataLoss                        DATA_LOSS
    └── Internal                        INTERNAL

This module knows neither HTTP nor gRPC.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

MAX_FIELD_ERRORS = 50


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong place in a request.

    `loc` is the path to it (``("X", 3, "age")``: row 3, column ``age``; rows count from 0), `message`
    says what is wrong and what is allowed, `value` is the value that was given.
    """

    loc: tuple[str | int, ...]
    message: str
    value: Any = None


class ModelyardError(Exception):
    """Base of all errors of this project; `detail` is written for the caller.

    `request_id` is the id of the failed request in the server's log. Only errors that a client received have one.
    """

    code: ClassVar[str] = "INTERNAL"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, *, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors[:MAX_FIELD_ERRORS])
        self.request_id: str | None = None

    @classmethod
    def slug(cls) -> str:
        """Return the class's name in kebab case, which identifies it on the wire."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()


class InvalidArgument(ModelyardError):
    code = "INVALID_ARGUMENT"
    title = "The request is not valid"

    @classmethod
    def of(cls, errors: Sequence[FieldError]) -> InvalidArgument:
        """Build the error for some wrong places: the first speaks for all in `detail`.

        MAX_FIELD_ERRORS of them may be the first of more: nobody looks further.
        """
        others = len(errors) - 1
        if not others:
            return cls(errors[0].message, errors=errors)
        at_least = "at least " if len(errors) == MAX_FIELD_ERRORS else ""
        more = "error" if others == 1 else "errors"
        return cls(f"{errors[0].message} (and {at_least}{others} more {more})", errors=errors)


class InvalidRequest(InvalidArgument):
    """A field of the request is missing, unknown or of the wrong kind."""


class InvalidTable(InvalidArgument):
    """A table, its labels or the file they came in breaks the contract of a table."""

    title = "The table is not valid"


class InvalidHyperparams(InvalidArgument):
    """A hyperparam is unknown, of the wrong type, out of range, or does not go with another."""

    title = "The hyperparams are not valid"


class FormatNotTaken(InvalidArgument):
    """A body is of a type, or compressed in a way, that the call does not read."""

    title = "The body is in no format that is taken"


class FormatNotGiven(InvalidArgument):
    """The caller accepts none of the types in which the call can answer."""

    title = "There is no answer in that format"


class NoYard(InvalidArgument):
    """The folder that was given holds no yard, and the call makes none."""

    title = "There is no yard there"


class Unauthenticated(ModelyardError):
    code = "UNAUTHENTICATED"
    title = "Who is calling is not known"


class PermissionDenied(ModelyardError):
    code = "PERMISSION_DENIED"
    title = "This caller may not do that"


class NotFound(ModelyardError):
    code = "NOT_FOUND"
    title = "There is no such thing"


class ModelNotFound(NotFound):
    title = "There is no such model"


class ModelClassNotFound(NotFound):
    title = "There is no such model class"


class JobNotFound(NotFound):
    title = "There is no such job"


class KeyNotFound(NotFound):
    title = "There is no such key"


class AliasNotFound(NotFound):
    title = "There is no such alias"


class AlreadyExists(ModelyardError):
    code = "ALREADY_EXISTS"
    title = "It exists already"


class Aborted(ModelyardError):
    code = "ABORTED"
    title = "Another request came first"


class IdempotencyConflict(Aborted):
    title = "The idempotency key belongs to another request"


class FailedPrecondition(ModelyardError):
    code = "FAILED_PRECONDITION"
    title = "The state of things does not allow that"


class ModelGone(FailedPrecondition):
    title = "The model was deleted for good"


class Unsigned(FailedPrecondition):
    title = "The model is not signed"


class EnvironmentMismatch(FailedPrecondition):
    title = "The model was made in another environment"


class ResourceExhausted(ModelyardError):
    code = "RESOURCE_EXHAUSTED"
    title = "A limit is reached"


class PayloadTooLarge(ResourceExhausted):
    title = "The request is too large"


class TooManyRequests(ResourceExhausted):
    """There are too many already; `retry_after_s` is when to ask again, in whole seconds."""

    title = "Too many requests at once"

    def __init__(self, detail: str, *, errors: Sequence[FieldError] = (), retry_after_s: int = 5) -> None:
        super().__init__(detail, errors=errors)
        self.retry_after_s = retry_after_s


class Cancelled(ModelyardError):
    code = "CANCELLED"
    title = "The job was cancelled"


class DeadlineExceeded(ModelyardError):
    code = "DEADLINE_EXCEEDED"
    title = "The time limit has passed"


class RequestTimedOut(DeadlineExceeded):
    title = "The request did not come in time"


class Unavailable(ModelyardError):
    code = "UNAVAILABLE"
    title = "The service cannot do that at the moment"


class DataLoss(ModelyardError):
    code = "DATA_LOSS"
    title = "Stored data does not match its checksum"


class Internal(ModelyardError):
    """What is not ours; its detail is fixed, its cause is in the log under the request id."""


def tree(root: type[ModelyardError] = ModelyardError) -> Iterator[type[ModelyardError]]:
    """Yield `root` and every class below it, parents first."""
    yield root
    for child in root.__subclasses__():
        yield from tree(child)


def error_class(slug: str | None, code: str | None) -> type[ModelyardError]:
    """Find the class a slug names; failing that the first of that code word; failing that Internal.

    The clients rebuild the core's own errors with it from what came over the wire.
    """
    classes = list(tree())[1:]
    for found in classes:
        if found.slug() == slug:
            return found
    return next((found for found in classes if found.code == code), Internal)
