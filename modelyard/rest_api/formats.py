"""Which media types a route takes and gives, as the OpenAPI document says, held against the headers of its caller."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from functools import lru_cache
from typing import Any

from fastapi.openapi.utils import get_openapi_path
from fastapi.routing import APIRoute
from starlette.requests import Request

from modelyard.errors import FormatNotGiven, FormatNotTaken

JSON = "application/json"

_FORM = "application/x-www-form-urlencoded"
"""What curl calls every body if it is told nothing else. One that looks like JSON is taken for JSON."""

_MAX_SHOWN = 200


def checking() -> Callable[[Request], Coroutine[Any, Any, None]]:
    """Return what refuses a request whose body or answer is in no format that its route has in the OpenAPI document.

    It raises FormatNotTaken or FormatNotGiven.
    """
    known: dict[tuple[str, str], tuple[tuple[str, ...], tuple[str, ...]]] = {}

    async def check(request: Request) -> None:
        route = request.scope["route"]
        key = (route.path_format, request.method)
        taken, given = known[key] if key in known else known.setdefault(key, formats_of(route, request.method))
        if given:
            choose(accept_of(request), given)
        kind = request.headers.get("content-type")
        if taken and kind is not None:
            await _check_body(request, kind, taken)

    return check


def formats_of(route: APIRoute, method: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the media types that a route takes and gives, by its own part of the document.

    The part is made without the schemas of its models: those of a training keep the event loop from everybody else for
    0.1 s, and the whole document for longer.
    """
    operations, _, _ = get_openapi_path(
        route=route,  # type: ignore[arg-type] # its methods are there
        operation_ids=set(),
        model_name_map={},
        field_mapping=defaultdict(dict),
    )
    operation = operations[method.lower()]
    taken = operation.get("requestBody", {}).get("content", {})
    answers = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
    return tuple(taken), tuple(dict.fromkeys(kind for answer in answers for kind in answer.get("content", {})))


def accept_of(request: Request) -> str:
    """Return the Accept of a request; several headers are one list, and none is an empty one, which accepts all."""
    return ", ".join(request.headers.getlist("accept"))


@lru_cache(maxsize=256)
def choose(accept: str, given: Sequence[str]) -> str:
    """Return the media type among those `given` that an Accept header likes best, the first if it likes several.

    Raises FormatNotGiven if it accepts none of them.
    """
    ranges = [_range(part) for part in accept.lower().split(",") if part.strip()] or [("*/*", 1.0)]
    # Of what names a type, the most particular counts; of types that are liked equally, the one that is named first.
    ratings = {kind: max(_ratings(kind, ranges), default=(0, 0, 0.0)) for kind in given}
    best = max(given, key=lambda kind: (ratings[kind][2], ratings[kind][:2]))
    if ratings[best][2] > 0:
        return best
    raise FormatNotGiven(f"Accept must name at least one of {', '.join(given)}; got {accept[:_MAX_SHOWN]!r}")


def _ratings(kind: str, ranges: Sequence[tuple[str, float]]) -> list[tuple[int, int, float]]:
    """Return how particularly each range that holds `kind` names it, how early it does, and how it is liked."""
    names = ("*/*", kind.partition("/")[0] + "/*", kind)
    return [(names.index(name), -place, liked) for place, (name, liked) in enumerate(ranges) if name in names]


def _range(part: str) -> tuple[str, float]:
    name, *params = (piece.strip() for piece in part.split(";"))
    return name, quality(params)


def quality(params: Sequence[str]) -> float:
    """Return the weight that parameters of a header's element give it: 1 if they give none, 0 if it is no number."""
    written = next((param.partition("=")[2] for param in params if param.replace(" ", "").startswith("q=")), "1")
    try:
        return float(written)
    except ValueError:
        return 0.0


async def _check_body(request: Request, given: str, taken: Sequence[str]) -> None:
    kind = given.partition(";")[0].strip().lower()
    if kind in taken or not kind:
        return
    if JSON in taken and (kind.endswith("+json") or (kind == _FORM and _looks_like_json(await request.body()))):
        return
    raise FormatNotTaken(f"Content-Type must be {' or '.join(taken)}, got {given[:_MAX_SHOWN]!r}")


def _looks_like_json(body: bytes) -> bool:
    return body.lstrip()[:1] in (b"{", b"[", b"")
