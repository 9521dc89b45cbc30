"""From bytes to requests: JSON bodies and multipart uploads."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import orjson
from pydantic import BaseModel
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from modelyard.errors import FormatNotTaken, InvalidRequest
from modelyard.rest_api.prediction_formats import ARROW_FILE, ARROW_STREAM, CSV, PARQUET
from modelyard.schemas import parse
from modelyard.schemas.json_faults import placed_json_fault
from modelyard.schemas.showing import kind_shown, shown
from modelyard.tables import FileContent, read_arrow, stored_name

TABLE_BODIES = {
    CSV: ".csv",
    PARQUET: ".parquet",
    ARROW_STREAM: ".arrow",
    ARROW_FILE: ".arrow",
    "application/x-ndjson": ".jsonl",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
}
"""The media types of tables that may be a body of their own, and the extensions of such files."""

RequestT = TypeVar("RequestT", bound=BaseModel)
Reader: TypeAlias = Callable[[], AbstractContextManager[RequestT]]
"""Reads a request that was received, in a thread; the request may be used while the context lasts."""

TEXT_FIELDS = frozenset(
    {
        "model_class_key",
        "modelclasskey",
        "model_id",
        "modelid",
        "target",
        "task",
        "name",
        "label",
        "description",
        "decimal",
        "thousands",
        "encoding",
        "delimiter",
        "sheet",
        "calibrate",
        "metric",
    }
)
"""Form fields whose value is the text itself; the others hold JSON."""

_PYTHONS_WORDS = {"True": True, "False": False, "None": None}
"""What Python's clients send in a form if they are given these values."""

_WANTED = {
    "boolean": "true or false",
    "object": 'a JSON object, such as {"key": 1}',
    "array": 'a JSON list, such as ["a", "b"]',
    "string": 'a JSON text, such as "a"',
    "number": "a number",
    "integer": "a whole number",
}


class _WholeForm(MultiPartParser):
    """A form that is refused if it has no end; without that, what was cut off would go unnoticed."""

    _has_end = False

    def on_end(self) -> None:
        """Take the last boundary."""
        self._has_end = True

    async def parse(self) -> FormData:
        """Read the form. Raises MultiPartException."""
        form = await super().parse()
        if self._has_end:
            return form
        for file in self._files_to_close_on_error:  # one that was cut off is no part of the form
            file.close()
        raise MultiPartException("it ends before its last boundary, so it is cut short")


async def read_json(request: Request, kind: type[RequestT]) -> Reader[RequestT]:
    """Receive a JSON body; what is returned reads it as a `kind`. Raises PayloadTooLarge from the gate."""
    body = await request.body()
    return lambda: nullcontext(parse_json(body, kind))


def parse_json(body: bytes, kind: type[RequestT]) -> RequestT:
    """Turn the bytes of a JSON body into a `kind`; no body at all leaves out every field. Raises InvalidRequest."""
    fields = loads(body, "the body") if body or is_due(kind) else {}
    if not isinstance(fields, dict):
        raise InvalidRequest(f"the body must be a JSON object, got {kind_shown(fields)}")
    return parse(kind, fields)


def is_due(kind: type[BaseModel]) -> bool:
    """Whether there must be a body: one of its fields may not be left out."""
    return any(field.is_required() for field in kind.model_fields.values())


def loads(text: bytes | str, what: str) -> Any:
    """Parse JSON; raise InvalidRequest saying where it breaks."""
    if not text or not text.strip():
        raise InvalidRequest(f"{what} is empty; it must be JSON")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"{what} is not valid JSON: {placed_json_fault(error)}") from None


async def read_table(request: Request, kind: type[RequestT], not_fields: Collection[str] = ()) -> Reader[RequestT]:
    """Receive a table with its fields in the query: a file as the body itself, or a multipart upload.

    A body of its own stays in memory: no form is searched and no file written. The charset of a CSV is its `encoding`.
    The fields of an upload may stand in the form, too. `not_fields` are parameters of the query that mean other things.
    """
    beside = [(key, value) for key, value in request.query_params.multi_items() if key not in not_fields]
    media_type, parameters = parse_options_header(request.headers.get("content-type", ""))
    extension = TABLE_BODIES.get(media_type.decode("latin-1"))
    if extension is None:
        return await _read_upload(request, kind, beside)
    fields = _fields(kind, beside)
    if extension == ".csv" and b"charset" in parameters:
        fields.setdefault("encoding", parameters[b"charset"].decode("latin-1"))
    body = await request.body()
    if extension == ".arrow":
        return lambda: nullcontext(parse(kind, {**fields, "X": read_arrow(body)}))
    return lambda: nullcontext(parse(kind, {**fields, "X": FileContent(body, f"body{extension}")}))


async def _read_upload(request: Request, kind: type[RequestT], beside: Sequence[tuple[str, str]]) -> Reader[RequestT]:
    """Receive a multipart upload; what is returned reads it as a `kind` whose X is the path of the uploaded file.

    The file is there while the context lasts. `beside` are fields that came outside the form.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise FormatNotTaken(
            "an upload must be multipart/form-data with a part called 'file', "
            f"or the table itself as {', '.join(TABLE_BODIES)}"
        )
    try:
        limits: dict[str, int] = {"max_files": 1, "max_fields": 100, "max_part_size": 16 * 2**20}
        form = await _WholeForm(request.headers, request.stream(), **limits).parse()
    except MultiPartException as error:
        raise InvalidRequest(f"the upload cannot be read: {error.message}") from None
    return partial(_saved, form, kind, beside)


@contextmanager
def _saved(form: FormData, kind: type[RequestT], beside: Sequence[tuple[str, str]]) -> Iterator[RequestT]:
    given = form.multi_items()
    with ExitStack() as files:
        for _, value in given:
            if isinstance(value, UploadFile):
                files.callback(value.file.close)
        folder = files.enter_context(tempfile.TemporaryDirectory(prefix="modelyard-upload-"))
        path = _save(_uploaded(form), Path(folder))
        fields = _fields(kind, [*beside, *((key, value) for key, value in given if key != "file")])
        yield parse(kind, {**fields, "X": path})


def _uploaded(form: FormData) -> UploadFile:
    upload = form.get("file")
    if isinstance(upload, str):
        raise InvalidRequest("the part called 'file' must have a filename; without one it is a text field and no file")
    if not isinstance(upload, UploadFile):
        raise InvalidRequest("the upload needs a file in a part called 'file'")
    return upload


def _fields(kind: type[BaseModel], given: Iterable[tuple[str, str | UploadFile]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key, value in given:
        if isinstance(value, UploadFile):
            raise InvalidRequest(f"field '{key}' must be text, got a file; the table goes into the part called 'file'")
        if key == "X":
            raise InvalidRequest("field 'X' does not go with an upload: the table is the file")
        if key in fields:
            raise InvalidRequest(f"field '{key}' is given twice")
        fields[key] = value if key in TEXT_FIELDS else _json_field(kind, key, value)
    return fields


def _json_field(kind: type[BaseModel], key: str, text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        if text in _PYTHONS_WORDS:
            return _PYTHONS_WORDS[text]
        schema = kind.model_json_schema()["properties"].get(key)
        if schema is None:
            return text  # an unknown field, which the schema refuses by its name
        types = [option.get("type", "object") for option in schema.get("anyOf", [schema])]
        wanted = " or ".join(_WANTED[name] for name in types if name in _WANTED)
        raise InvalidRequest(f"field '{key}' must be {wanted}, got {shown(text)}") from None


def _save(upload: UploadFile, folder: Path) -> Path:
    path = folder / stored_name(upload.filename or "")
    with path.open("wb") as file:
        shutil.copyfileobj(upload.file, file, 2**20)
    return path
