"""Metadata as messages and back, by one generic codec: models, reports, health, pages.

It walks a message's descriptor, so a field that both sides name alike needs no line here. Tables and predictions are
not its business: they have ways of their own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias, TypeVar

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor import FieldDescriptor as _FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import BaseModel

from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.grpc_server.values import read_value, write_value

MessageT = TypeVar("MessageT", bound=Message)
ValueT = TypeVar("ValueT", bound=BaseModel)

_NULL_WHERE_EMPTY = frozenset(
    {
        "classes",
        "roc_curves",
        "precision_recall_curves",
        "calibration_curve",
        "per_class",
        "feature_importances",
        "names",
        "validation",
        "top",
        "costs",
        "leaderboard",
        "probabilities",
    }
)
"""Lists and maps that are null if they do not apply, and never empty."""

_WEIGHTED = {"matrix": "weighted_matrix", "support": "weighted_support"}
"""Fields of counts, and those that have their place if they are sums of weights, which are no whole numbers."""

FieldDescriptor: TypeAlias = Any
"""What a message's `DESCRIPTOR.fields` are; the stubs know two classes of them."""

_DOUBLES = (_FieldDescriptor.TYPE_DOUBLE, _FieldDescriptor.TYPE_FLOAT)


def write(kind: type[MessageT], value: BaseModel) -> MessageT:
    """Return a frozen value as a message; None becomes an absent field, in numbers NaN."""
    return _write_fields(kind(), value.model_dump())


def read(kind: type[ValueT], message: Message) -> ValueT:
    """Return a message as the frozen value it was written from."""
    absent = {name: None for name, field in kind.model_fields.items() if field.is_required()}
    return kind.model_validate(absent | read_fields(message))


def read_fields(message: Message) -> dict[str, Any]:
    """Return a message's fields as plain Python values, without those that are absent."""
    fields: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        if field.is_repeated:
            found = _read_repeated(field, getattr(message, field.name))
            if found or field.name not in _NULL_WHERE_EMPTY:
                fields[field.name] = found
        elif not field.has_presence or message.HasField(field.name):
            fields[field.name] = _read_one(field, getattr(message, field.name))
    for counted, weighted in _WEIGHTED.items():
        if found := fields.pop(weighted, None):
            fields[counted] = found
    return fields


def _write_fields(message: MessageT, fields: Mapping[str, Any]) -> MessageT:
    for field in message.DESCRIPTOR.fields:
        name = _WEIGHTED.get(field.name, field.name)
        if field.name in fields:
            found = fields[field.name]
            is_weighted = name != field.name and _holds_floats(found)
            _write_field(message, message.DESCRIPTOR.fields_by_name[name] if is_weighted else field, found)
    return message


def _holds_floats(value: Any) -> bool:
    while isinstance(value, list) and value:
        value = value[0]
    return isinstance(value, float)


def _write_field(message: Message, field: FieldDescriptor, value: Any) -> None:
    name = field.name
    if field.is_repeated:
        if value is not None:
            _write_repeated(getattr(message, name), field, value)
    elif field.message_type is not None:
        if value is not None or field.message_type is pb.Value.DESCRIPTOR:
            getattr(message, name).CopyFrom(_new(field.message_type, value))
    elif value is not None:
        setattr(message, name, value)
    elif field.type in _DOUBLES:
        setattr(message, name, math.nan)


def _write_repeated(container: Any, field: FieldDescriptor, value: Any) -> None:
    entry = _map_value(field)
    if entry is not None and entry.message_type is not None:
        for key, item in value.items():
            container[key].CopyFrom(_new(entry.message_type, item))
    elif entry is not None:
        for key, item in value.items():
            container[key] = math.nan if item is None else item
    elif field.message_type is not None:
        container.extend([_new(field.message_type, item) for item in value])
    else:
        container.extend([math.nan if item is None else item for item in value])


def _new(descriptor: Descriptor, value: Any) -> Message:
    if descriptor is pb.Value.DESCRIPTOR:
        return write_value(value)
    if descriptor is Timestamp.DESCRIPTOR:
        stamp = Timestamp()
        stamp.FromDatetime(value)
        return stamp
    message: Message = getattr(pb, descriptor.name)()
    if _is_values(descriptor):  # a list within a list, or a map within a map
        value = {"values": value}
    return _write_fields(message, value)


def _read_repeated(field: FieldDescriptor, container: Any) -> dict[Any, Any] | list[Any]:
    entry = _map_value(field)
    if entry is not None:
        return {key: _read_one(entry, container[key]) for key in sorted(container)}
    return [_read_one(field, item) for item in container]


def _read_one(field: FieldDescriptor, value: Any) -> Any:
    descriptor = field.message_type
    if descriptor is None:
        return None if isinstance(value, float) and math.isnan(value) else value
    if descriptor is pb.Value.DESCRIPTOR:
        return read_value(value)
    if descriptor is Timestamp.DESCRIPTOR:
        moment: datetime = value.ToDatetime(tzinfo=UTC)
        return moment
    fields = read_fields(value)
    return fields["values"] if _is_values(descriptor) else fields


def _is_values(descriptor: Descriptor) -> bool:
    return list(descriptor.fields_by_name) == ["values"]


def _map_value(field: FieldDescriptor) -> FieldDescriptor | None:
    """Return a map's field of values; None if the field is no map."""
    entry = field.message_type
    return entry.fields_by_name["value"] if entry is not None and entry.GetOptions().map_entry else None
