"""What the admin reads about changes: names of settings, values, and when a change takes effect. No Qt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from gui.change_review import TAKEN_BACK, WAITS, Review
from gui.models.admin_draft import field_at
from gui.records import moment
from gui.wording import MINUS, Calendar, counted, duration
from shared.config import RULE_MODELS

SECTION_NAMES = {"reset": "Reset", "policy": "Policy", "logging": "Logging", "ipc": "Connection"}
_UNITS = {
    "dollars": "$",
    "percent": "%",
    "contracts": "contracts",
    "ticks": "ticks",
    "seconds": "s",
    "minutes": "min",
    "days": "days",
    "entries": "entries",
    "trades": "trades",
    "adds": "adds",
}


def unit_sign(unit: str) -> str:
    """What stands behind a number: "$", "s", "contracts"; "" for none."""
    return _UNITS.get(unit, unit)


def setting_name(path: str | Sequence[str], accounts: Mapping[str, str] | None = None) -> str:
    """ "Daily realized loss: Loss limit", with the account in front where it is one's own."""
    steps = path.split(".") if isinstance(path, str) else [str(step) for step in path]
    front = ""
    rest = steps
    if steps[:1] == ["accounts"] and len(steps) > 1:
        name = (accounts or {}).get(steps[1], steps[1])
        front, rest = f"{name}: ", steps[2:]
    if rest[:1] == ["rules"] and len(rest) > 1:
        model = RULE_MODELS.get(rest[1])
        head = model.title if model is not None else rest[1]
        tail = rest[2:]
        start = rest[:2]
    elif rest[:1] and rest[0] in SECTION_NAMES:
        head, tail, start = SECTION_NAMES[rest[0]], rest[1:], rest[:1]
    else:
        return front + " ".join(step.replace("_", " ") for step in rest)
    labels = []
    for number in range(len(tail)):
        field = field_at([*start, *tail[: number + 1]])
        labels.append(field.label if field is not None else tail[number].replace("_", " "))
    return f"{front}{head}{': ' if labels else ''}{', '.join(labels)}"


def value_words(path: str | Sequence[str], value: Any) -> str:
    """A value with its unit, as people write it; "not set" for none."""
    steps = path.split(".") if isinstance(path, str) else [str(step) for step in path]
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, dict):
        shown = {key: below for key, below in value.items() if key != "enabled"}
        state = "" if "enabled" not in value else ("on" if value["enabled"] else "off")
        parts = [
            f"{str(key).replace('_', ' ')} {value_words([*steps, str(key)], below)}" for key, below in shown.items()
        ]
        return ", ".join([state, *parts] if state else parts) or "empty"
    if isinstance(value, list | tuple):
        return ", ".join(value_words(steps, item) for item in value) or "none"
    field = field_at(steps)
    return number_words(value, field.unit if field is not None else "")


def number_words(value: Any, unit: str) -> str:
    """A number with its unit: "−$500", "30 min", "5 contracts"; other values as they are."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return str(value)
    if not isinstance(value, int | float | Decimal) and not unit:
        return str(value)
    sign = MINUS if number < 0 else ""
    digits = f"{abs(number):,.6f}".rstrip("0").rstrip(".")
    if unit == "dollars":
        whole = abs(number) == abs(number).to_integral_value()
        return f"{sign}${digits if whole else f'{abs(number):,.2f}'}"
    if unit == "seconds" and number >= 120:
        return duration(float(number))
    return f"{sign}{digits} {unit_sign(unit)}".strip()


def effect_words(effect: str, effective_at: Any, calendar: Calendar, now: Any) -> str:
    """ "Tightens, now", "Loosens, at 17:00 New York", "Loosens, now" (policy), "No effect on protection, now"."""
    at = moment(effective_at)
    when = "now" if at is None else f"at {calendar.until(at, now)}"
    head = {"tightens": "Tightens", "loosens": "Loosens", WAITS: "Waits already", TAKEN_BACK: "Waits no longer"}
    return head.get(effect, "Neither tightens nor loosens") + ("" if effect == TAKEN_BACK else f", {when}")


def review_words(review: Review) -> str:
    """What the review of a change says above its table: how much is new, when it counts, what stays as it was."""
    words = f"{counted(len(review.fresh), 'change')}."
    gone, kept = len(review.taken_back), len(review.waiting)
    if gone:
        words += " 1 that waits is taken back." if gone == 1 else f" {gone} that wait are taken back."
    if review.loosens and any(row.get("effective_at") for row in review.fresh):
        words += (
            " What weakens the protection waits for the reset and can be taken back until then; all else applies now."
        )
    elif review.loosens:
        words += " The policy lets what weakens the protection take effect at once."
    if kept:
        already = "1 that already waits stays as it is." if kept == 1 else f"{kept} that already wait stay as they are."
        words += f" {already}"
    return words


def apply_words(changes: Sequence[Mapping[str, Any]], calendar: Calendar, now: Any) -> str:
    """What the button of the review says: "Apply 2 now, 1 at 17:00 New York"."""
    later = [change for change in changes if change.get("effective_at")]
    sooner = len(changes) - len(later)
    parts = [f"{sooner} now"] if sooner else []
    if later:
        at = moment(later[0]["effective_at"])
        parts.append(f"{len(later)} at {calendar.until(at, now)}" if at is not None else f"{len(later)} at the reset")
    return f"Apply {', '.join(parts)}" if parts else "Nothing to apply"


def in_force_words(waiting: int) -> str:
    """What is said after changes were applied of which so many have come to wait."""
    if not waiting:
        return "All of it is in force."
    return f"{counted(waiting, 'change waits', 'changes wait')} for the reset, see Rules, Waiting."
