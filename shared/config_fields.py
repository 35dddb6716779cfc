"""Building blocks of the configuration models: what a setting says about itself, and the value types in YAML.

Every setting carries, beside its type, a label, a help text, its unit, its bounds and which way of changing it weakens
the protection (``looser``). Forms of the admin window and `shared.config_changes` read nothing else, so that a new
setting needs no code anywhere but here and in the rule that uses it.
"""

import datetime as dt
import difflib
import functools
import importlib.resources
import math
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer
from pydantic_core import InitErrorDetails, PydanticCustomError

Unit = Literal["dollars", "percent", "contracts", "ticks", "seconds", "minutes", "days", "entries", "trades", "adds"]

Looser = Literal["higher", "lower", "any", "fewer", "neutral", "structure"]
"""Which change of a value weakens the protection.

higher, lower: a greater or a smaller value (of an absent optional number, see ``absent`` of `setting`; False < True).
any: every change; it cannot be told, or depends on the moment.
fewer: taking elements out of the list.
neutral: none.
structure: a value whose parts only mean something together; `shared.config_changes` compares it as a whole.
"""

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Settings(BaseModel):
    """Base of all configuration models: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def setting(
    label: str,
    help: str,
    *,
    looser: Looser,
    unit: Unit | None = None,
    absent: Literal["tightest", "loosest"] = "loosest",
    stricter_than: Sequence[tuple[str, str]] = (),
    ge: int | None = None,
    gt: int | None = None,
    le: int | None = None,
    lt: int | None = None,
) -> Any:
    """Describe a setting: text for people, unit, bounds, and the direction that weakens the protection.

    ``absent`` says where an optional number that is not set stands on the scale. ``stricter_than`` lists, for choices
    with ``looser="any"``, the pairs (stricter, laxer) that can be ordered after all.
    Everything is put in the field's ``json_schema_extra`` under the same names (bounds as ``ge, gt, le, lt``).
    """
    bounds: dict[str, int] = {
        name: bound for name, bound in (("ge", ge), ("gt", gt), ("le", le), ("lt", lt)) if bound is not None
    }
    extra: dict[str, Any] = {"label": label, "help": help, "looser": looser, **bounds}
    if unit is not None:
        extra["unit"] = unit
    if absent != "loosest":
        extra["absent"] = absent
    if stricter_than:
        extra["stricter_than"] = [list(pair) for pair in stricter_than]
    return Field(title=label, description=help, json_schema_extra=extra, ge=ge, gt=gt, le=le, lt=lt)


def _flag(value: object) -> bool:
    """true/false, and the words YAML 1.1 takes for them; numbers are refused."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in {"true", "yes", "on"}:
        return True
    if isinstance(value, str) and value.lower() in {"false", "no", "off"}:
        return False
    raise PydanticCustomError("flag", "must be true or false")


def _whole(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, Decimal | float):
        number = float(value)  # 1E+999 becomes infinity here, and is refused before int() would write it out
        if math.isfinite(number) and value == int(value):
            return int(value)
    raise PydanticCustomError("whole_number", "must be a whole number")


def _money(value: object) -> Decimal:
    """Exact decimal dollars, from a YAML number, a JSON number or a decimal string."""
    error = PydanticCustomError("money", "must be an amount in dollars, such as 500 or -250.50")
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise error
    text = str(value).strip()
    if not re.fullmatch(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d{1,2})?", text):
        raise error
    amount = Decimal(text)
    exponent = amount.normalize().as_tuple().exponent
    if abs(amount) > 1_000_000_000 or (isinstance(exponent, int) and exponent < -6):
        raise PydanticCustomError(
            "money_range", "must have at most six decimals and lie between -1000000000 and 1000000000 dollars"
        )
    # One spelling for one amount: -500, -500.0 and -5e2 compare, print and hash alike.
    amount = amount.normalize() + Decimal(0)
    return amount.quantize(Decimal(1)) if amount == amount.to_integral_value() else amount


def _time_of_day(value: object) -> dt.time:
    if isinstance(value, dt.time):
        return value
    match = re.fullmatch(r"(\d{1,2}):(\d{2})", value.strip()) if isinstance(value, str) else None
    if match is None or int(match[1]) > 23 or int(match[2]) > 59:
        raise PydanticCustomError("time_of_day", 'must be a time of day "HH:MM" in quotes, from "00:00" to "23:59"')
    return dt.time(int(match[1]), int(match[2]))


@functools.cache
def time_zones() -> frozenset[str]:
    """All IANA zone names of the bundled tzdata (not the machine's, which the trader may change)."""
    text = importlib.resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8")
    return frozenset(text.split()) - {"Factory", "localtime"}


def closest(word: str, words: Sequence[str] | frozenset[str]) -> str | None:
    """The one of ``words`` that was probably meant by ``word``, if any is near enough."""
    lower = {candidate.lower(): candidate for candidate in sorted(words)}
    found = difflib.get_close_matches(word.lower(), lower, n=1, cutoff=0.7)
    return lower[found[0]] if found else None


def _time_zone(value: object) -> str:
    zones = time_zones()
    if isinstance(value, str) and value in zones:
        return value
    near = closest(value.replace(" ", "_"), zones) if isinstance(value, str) else None
    mend = f"did you mean {near}?" if near else "write it as in America/New_York"
    raise PydanticCustomError("time_zone", "is not a known time zone; {mend}", {"mend": mend})


_LONG_DAYS = dict(
    zip(("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"), DAYS, strict=True)
)


def _days(value: object) -> tuple[Day, ...]:
    """Weekdays in the order of the week, each once."""
    if not isinstance(value, list | tuple):
        raise PydanticCustomError("days", "must be a list of days, such as [mon, tue, wed, thu, fri]")
    chosen: set[Day] = set()
    for item in value:
        word = item.strip().lower() if isinstance(item, str) else ""
        day = _LONG_DAYS.get(word) or next((known for known in DAYS if known == word), None)
        if day is None:
            raise PydanticCustomError(
                "days", "must name days as mon, tue, wed, thu, fri, sat or sun, not {day}", {"day": repr(item)}
            )
        if day in chosen:
            raise PydanticCustomError("days", "names {day} twice", {"day": day})
        chosen.add(day)
    if not chosen:
        raise PydanticCustomError("days", "must name at least one day")
    return tuple(day for day in DAYS if day in chosen)


def _symbol(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9]{1,12}", value.strip()):
        return value.strip().upper()
    raise PydanticCustomError(
        "symbol", "must be the root of a contract name, such as ES or MNQ (without month and year)"
    )


def _unique_keys(value: object) -> object:
    """Refuse a mapping that names the same symbol in two spellings (mnq and MNQ)."""
    if isinstance(value, dict):
        seen: set[str] = set()
        for key in value:
            symbol = str(key).strip().upper()
            if symbol in seen:
                raise PydanticCustomError("symbol_twice", "names {symbol} twice", {"symbol": symbol})
            seen.add(symbol)
    return value


def _symbols(value: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(value)))


Flag = Annotated[bool, BeforeValidator(_flag)]
Whole = Annotated[int, BeforeValidator(_whole)]
Money = Annotated[Decimal, BeforeValidator(_money)]
TimeOfDay = Annotated[
    dt.time, BeforeValidator(_time_of_day), PlainSerializer(lambda value: value.strftime("%H:%M"), return_type=str)
]
TimeZone = Annotated[str, BeforeValidator(_time_zone)]
Days = Annotated[tuple[Day, ...], BeforeValidator(_days)]
Symbol = Annotated[str, BeforeValidator(_symbol)]
Symbols = Annotated[tuple[Symbol, ...], AfterValidator(_symbols)]
UniqueSymbolKeys = BeforeValidator(_unique_keys)


class RuleConfig(Settings):
    """Base of all rules' settings."""

    rule_id: ClassVar[str]
    title: ClassVar[str]

    enabled: Annotated[Flag, setting("Enabled", "Whether this rule is watched and enforced.", looser="lower")] = True


def error_detail(entry: Any, loc: tuple[int | str, ...]) -> InitErrorDetails:
    """An entry of `ValidationError.errors()`, at another place, for a validator that raises several errors at once."""
    kind = PydanticCustomError(entry["type"], entry["msg"].replace("{", "(").replace("}", ")"), entry.get("ctx"))
    return InitErrorDetails(type=kind, loc=loc, input=entry.get("input"))
