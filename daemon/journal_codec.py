"""Events to rows of a JSON array and back: ["Quote", at, contract_id, bid, ask, last].

The layout follows the dataclasses of `daemon.core.events`: the name of the class, then its fields in order, a nested
record as an array of its own. A field added at the end with a default keeps old journals readable.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError

from daemon.core import events
from daemon.core.events import Event
from daemon.store.state import SavedState
from shared.config import HolidayCalendar, RiskConfig


class JournalError(Exception):
    """A journal cannot be read; the message is one plain sentence."""


@dataclass(slots=True)
class ConfigText:
    """The configuration in force when recording began, as JSON texts."""

    config: str
    calendar: str

    @classmethod
    def of(cls, config: RiskConfig, calendar: HolidayCalendar) -> ConfigText:
        """The texts of a configuration."""
        return cls(config.model_dump_json(), calendar.model_dump_json())

    def parsed(self) -> tuple[RiskConfig, HolidayCalendar]:
        """The models. Raises JournalError when this version does not accept them."""
        try:
            return RiskConfig.model_validate_json(self.config), HolidayCalendar.model_validate_json(self.calendar)
        except ValidationError as error:
            raise JournalError(f"The journal's configuration is not one this version accepts: {error}.") from error


@dataclass(slots=True)
class StartState:
    """The daemon started, or a trading day began: `state` is all that was known at `at`; the events follow."""

    at: int
    trading_day: str
    version: str
    state: SavedState


@dataclass(slots=True)
class Gap:
    """Events are missing here (the disk was full or too slow). `lost` is their number."""

    lost: int


Entry = Event | ConfigText | StartState | Gap

_NESTED: Final = {
    kind.__name__: kind for kind in (events.Contract, events.PositionRecord, events.OrderRecord, events.TradeRecord)
}
_MODELS: Final[dict[str, type[BaseModel]]] = {"RiskConfig": RiskConfig, "HolidayCalendar": HolidayCalendar}
_STATE: Final[TypeAdapter[SavedState]] = TypeAdapter(SavedState)


def _getter(kind: type) -> Callable[[Any], tuple[Any, ...]]:
    names = [field.name for field in dataclasses.fields(kind)]
    getter = attrgetter(*names)
    return getter if len(names) > 1 else lambda value: (getter(value),)


_RECORDS: Final = {name: _getter(kind) for name, kind in _NESTED.items()}


def _encoder_of(annotation: str) -> Callable[[Any], Any] | None:
    if annotation in _NESTED:
        return _RECORDS[annotation]
    if annotation in _MODELS:
        return lambda model: model.model_dump_json()
    item = _item_of(annotation)
    if item in _NESTED:
        getter = _RECORDS[item]
        return lambda records: [getter(record) for record in records]
    return None


def _decoder_of(annotation: str) -> Callable[[Any], Any] | None:
    if annotation in _NESTED:
        kind = _NESTED[annotation]
        return lambda values: kind(*values)
    if annotation in _MODELS:
        model = _MODELS[annotation]
        return model.model_validate_json
    item = _item_of(annotation)
    if item in _NESTED:
        kind = _NESTED[item]
        return lambda rows: tuple(kind(*values) for values in rows)
    return tuple if item else None


def _item_of(annotation: str) -> str:
    """X of "tuple[X, ...]", else nothing."""
    if annotation.startswith("tuple[") and annotation.endswith(", ...]"):
        return annotation.removeprefix("tuple[").removesuffix(", ...]")
    return ""


def _make_encoder(kind: type) -> Callable[[Any], tuple[Any, ...]]:
    name = (kind.__name__,)
    getter = _getter(kind)
    special = [
        (index, encode)
        for index, field in enumerate(dataclasses.fields(kind))
        if (encode := _encoder_of(str(field.type))) is not None
    ]
    if not special:
        return lambda event: name + getter(event)

    def encode_event(event: Any) -> tuple[Any, ...]:
        values = list(getter(event))
        for index, encode in special:
            values[index] = encode(values[index])
        return (*name, *values)

    return encode_event


def _make_decoder(kind: type) -> Callable[[list[Any]], Any]:
    special = [
        (index, decode)
        for index, field in enumerate(dataclasses.fields(kind), start=1)
        if (decode := _decoder_of(str(field.type))) is not None
    ]

    def decode_event(row: list[Any]) -> Any:
        for index, decode in special:
            row[index] = decode(row[index])
        return kind(*row[1:])

    return decode_event


_KINDS: Final[tuple[type, ...]] = typing.get_args(Event)
_ENCODERS: Final[dict[type, Callable[[Any], Any]]] = {kind: _make_encoder(kind) for kind in _KINDS} | {
    ConfigText: lambda entry: ("ConfigText", entry.config, entry.calendar),
    StartState: lambda entry: (
        "StartState",
        entry.at,
        entry.trading_day,
        entry.version,
        _STATE.dump_python(entry.state, mode="json"),
    ),
    Gap: lambda entry: ("Gap", entry.lost),
}
_DECODERS: Final[dict[str, Callable[[list[Any]], Any]]] = {kind.__name__: _make_decoder(kind) for kind in _KINDS} | {
    "ConfigText": lambda row: ConfigText(*row[1:]),
    "StartState": lambda row: StartState(row[1], row[2], row[3], _STATE.validate_python(row[4])),
    "Gap": lambda row: Gap(*row[1:]),
}


def encode(entries: list[Any]) -> bytes:
    """Entries as one line of JSON: an array of rows. An entry that cannot be encoded is replaced by a Gap."""
    rows = []
    for entry in entries:
        try:
            rows.append(_ENCODERS[type(entry)](entry))
        except Exception:  # noqa: BLE001 - one malformed event stays one (law 9)
            rows.append(("Gap", 1))
    try:
        return orjson.dumps(rows, option=orjson.OPT_APPEND_NEWLINE)
    except (TypeError, orjson.JSONEncodeError):
        return orjson.dumps([_dumpable(row) for row in rows], option=orjson.OPT_APPEND_NEWLINE)


def _dumpable(row: Any) -> Any:
    try:
        orjson.dumps(row)
    except (TypeError, orjson.JSONEncodeError):
        return ("Gap", 1)
    return row


def decode(line: bytes) -> list[Entry]:
    """The reverse of `encode`. Raises JournalError for what is no journal, or a newer version's."""
    try:
        rows = orjson.loads(line)
        return [_DECODERS[row[0]](row) for row in rows]
    except KeyError as error:
        raise JournalError(f"The journal holds {error}, which this version does not know.") from error
    except (ValueError, TypeError, IndexError) as error:
        raise JournalError(f"The journal holds an entry that cannot be read: {error}.") from error
