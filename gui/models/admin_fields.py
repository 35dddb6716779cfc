"""What a form needs to know of a configuration model, read from the model itself: a new rule needs no code here.

Labels, help, units and bounds are those that `shared.config_fields.setting` put beside each field.
"""

from __future__ import annotations

import datetime as dt
import types
import typing
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal, Union

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from shared.config_fields import DAYS, TimeZone


class FieldKind(StrEnum):
    """Which control edits it."""

    FLAG = "flag"
    WHOLE = "whole"
    MONEY = "money"
    CHOICE = "choice"
    TIME = "time"
    ZONE = "zone"
    DAYS = "days"
    WORDS = "words"
    TEXT = "text"
    GROUP = "group"
    TABLE = "table"
    NUMBERS = "numbers"
    GROUPS = "groups"


@dataclass(frozen=True, slots=True)
class Field:
    """One setting.

    `kind` FLAG … TEXT are single controls (WORDS: a list of words such as symbols), GROUP is a model inside the model,
    TABLE a list of models, NUMBERS a mapping from a word to a whole number, GROUPS a mapping from a word to a model.
    Bounds are inclusive; None where there is none. `default` is as JSON has it, None where there is none.
    """

    key: str
    label: str
    help: str
    kind: FieldKind
    unit: str = ""
    optional: bool = False
    required: bool = False
    default: Any = None
    low: Decimal | None = None
    high: Decimal | None = None
    choices: tuple[str, ...] = ()
    model: type[BaseModel] | None = None


_ZONE_MARK = typing.get_args(TimeZone)[1]


def fields_of(model: type[BaseModel]) -> list[Field]:
    """The settings of a model in its own order."""
    return [_field(key, info) for key, info in model.model_fields.items()]


def _field(key: str, info: FieldInfo) -> Field:
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    base, marks, optional = _unwrap(info.annotation, list(info.metadata))
    kind, model, choices = _kind(base, marks)
    low, high = _bounds(marks, whole=kind is FieldKind.WHOLE or kind is FieldKind.NUMBERS)
    default = None if info.default in (PydanticUndefined, None) else plain(info.default)
    if default is None and info.default_factory is not None:
        default = plain(info.default_factory())  # type: ignore[call-arg]
    return Field(
        key=key,
        label=info.title or (str(getattr(model, "title", "")) or key.replace("_", " ").capitalize()),
        help=info.description or _first_line(model),
        kind=kind,
        unit=str(extra.get("unit", "")),
        optional=optional,
        required=info.is_required(),
        default=default,
        low=low,
        high=high,
        choices=choices,
        model=model,
    )


def _first_line(model: type[BaseModel] | None) -> str:
    return (model.__doc__ or "").strip().splitlines()[0] if model is not None and model.__doc__ else ""


def _unwrap(annotation: Any, marks: list[Any]) -> tuple[Any, list[Any], bool]:
    """The type without Annotated and None, the marks gathered on the way, and whether None was allowed."""
    optional = False
    while True:
        origin = typing.get_origin(annotation)
        if origin is typing.Annotated:
            base, *more = typing.get_args(annotation)
            for mark in more:
                marks.extend(mark.metadata if isinstance(mark, FieldInfo) else [mark])
            annotation = base
        elif origin in (Union, types.UnionType):
            inner = [part for part in typing.get_args(annotation) if part is not type(None)]
            optional = optional or len(inner) < len(typing.get_args(annotation))
            if len(inner) != 1:
                return str, marks, optional
            annotation = inner[0]
        else:
            return annotation, marks, optional


def _kind(base: Any, marks: list[Any]) -> tuple[FieldKind, type[BaseModel] | None, tuple[str, ...]]:
    origin, arguments = typing.get_origin(base), typing.get_args(base)
    if base is bool:
        return FieldKind.FLAG, None, ()
    if base is int:
        return FieldKind.WHOLE, None, ()
    if base is Decimal:
        return FieldKind.MONEY, None, ()
    if base is dt.time:
        return FieldKind.TIME, None, ()
    if origin is Literal:
        return FieldKind.CHOICE, None, tuple(str(choice) for choice in arguments)
    if isinstance(base, type) and issubclass(base, BaseModel):
        return FieldKind.GROUP, base, ()
    if origin in (tuple, list):
        inner, inner_marks, _ = _unwrap(arguments[0], [])
        marks.extend(inner_marks)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            return FieldKind.TABLE, inner, ()
        if typing.get_origin(inner) is Literal and set(typing.get_args(inner)) == set(DAYS):
            return FieldKind.DAYS, None, DAYS
        return FieldKind.WORDS, None, ()
    if origin is dict:
        inner, inner_marks, _ = _unwrap(arguments[1], [])
        marks.extend(inner_marks)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            return FieldKind.GROUPS, inner, ()
        return FieldKind.NUMBERS, None, ()
    if any(mark is _ZONE_MARK or mark == _ZONE_MARK for mark in marks):
        return FieldKind.ZONE, None, ()
    return FieldKind.TEXT, None, ()


def _bounds(marks: list[Any], *, whole: bool) -> tuple[Decimal | None, Decimal | None]:
    step = Decimal(1) if whole else Decimal("0.01")
    low: Decimal | None = None
    high: Decimal | None = None
    for mark in marks:
        if isinstance(mark, Ge):
            low = Decimal(str(mark.ge))
        elif isinstance(mark, Gt):
            low = Decimal(str(mark.gt)) + step
        elif isinstance(mark, Le):
            high = Decimal(str(mark.le))
        elif isinstance(mark, Lt):
            high = Decimal(str(mark.lt)) - step
    return low, high


def plain(value: Any) -> Any:
    """A value as it stands in a file: amounts as numbers where they are whole, times as "HH:MM"."""
    if isinstance(value, BaseModel):
        return {key: plain(below) for key, below in value.model_dump(exclude_none=True).items()}
    if isinstance(value, dict):
        return {str(key): plain(below) for key, below in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dt.time):
        return value.strftime("%H:%M")
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def starting_value(model: type[BaseModel]) -> dict[str, Any]:
    """The least a model needs to be shown: its defaults, and something within bounds for what is required."""
    found: dict[str, Any] = {}
    for field in fields_of(model):
        if field.default is not None:
            found[field.key] = field.default
        elif field.required and not field.optional:
            found[field.key] = _example(field)
    try:
        model.model_validate(found)
    except ValidationError:
        # All optional, but not all of them may be missing: begin with the first.
        first = next((field for field in fields_of(model) if field.key not in found and field.optional), None)
        if first is not None:
            found[first.key] = _example(first)
        else:
            for field in fields_of(model):
                if field.kind is FieldKind.GROUP and field.model is not None and not found.get(field.key):
                    found[field.key] = starting_value(field.model)
    return found


def _example(field: Field) -> Any:
    if field.kind is FieldKind.MONEY:
        if field.high is not None and field.high < 0:
            return -500
        return 500 if field.high is None or field.high >= 500 else plain(field.high)
    if field.kind is FieldKind.WHOLE:
        low = int(field.low) if field.low is not None else 0
        return max(low, min(5, int(field.high) if field.high is not None else 5))
    if field.kind is FieldKind.GROUP and field.model is not None:
        return starting_value(field.model)
    if field.kind is FieldKind.TABLE and field.model is not None:
        return [starting_value(field.model)]
    return {
        FieldKind.FLAG: True,
        FieldKind.TIME: "16:00",
        FieldKind.ZONE: "America/New_York",
        FieldKind.CHOICE: field.choices[0] if field.choices else "",
        FieldKind.DAYS: list(field.choices),
        FieldKind.WORDS: [],
        FieldKind.NUMBERS: {},
        FieldKind.GROUPS: {},
    }.get(field.kind, "")
