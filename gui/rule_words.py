"""What each rule does, in one plain sentence made from its settings. No Qt.

The daemon sends a rule's settings as they stand in the configuration (`params`); a setting that is missing or of
another kind than expected leaves the general sentence, never an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from gui import wording
from gui.records import Rule, money, whole

type Params = Mapping[str, Any]

UNTIL_RESET = "everything is closed and the account is locked until the next reset"


def describe(rule: Rule) -> str:
    """What the rule does with its settings; the daemon's own sentence for a rule this program does not know."""
    maker = _SENTENCES.get(rule.key)
    if maker is None:
        return wording.typographic(rule.sentence)
    try:
        return maker(rule.params)
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError):
        return _GENERAL.get(rule.key, wording.typographic(rule.sentence))


def _dollars(value: object, *, signed: bool = True) -> str:
    number = money(value)
    if number is None:
        raise ValueError("no amount")
    return wording.amount(number if signed else abs(number), signed=signed)


def _number(value: object) -> int:
    number = whole(value)
    if number is None:
        raise ValueError("no number")
    return number


def _seconds(value: object) -> str:
    seconds = _number(value)
    for size, word in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds % size == 0 and seconds >= size:
            count = seconds // size
            return f"one {word}" if count == 1 else f"{count} {word}s"
    return wording.counted(seconds, "second")


def _clock(value: object) -> str:
    return str(value)[:5]


def _days(days: object) -> str:
    if not isinstance(days, list) or not days:
        raise ValueError("no days")
    names = [str(day)[:3].capitalize() for day in days]
    if names == ["Mon", "Tue", "Wed", "Thu", "Fri"]:
        return "Monday to Friday"
    return "every day" if len(names) == 7 else ", ".join(names)


def _zone(name: object) -> str:
    return wording.Calendar(str(name)).zone_name


_COUNTED = {
    "net": "net (long minus short)",
    "gross": "long and short together",
    "long": "on the long side",
    "short": "on the short side",
}


def _max_contracts(p: Params) -> str:
    does = "everything is closed" if p.get("close_all") else "what exceeds that is closed at once"
    most = wording.counted(_number(p["limit"]), "contract")
    return f"At most {most}, counted {_COUNTED[p.get('count_type', 'net')]}; {does}."


def _per_instrument(p: Params) -> str:
    listed = ", ".join(f"{symbol} {_number(limit)}" for symbol, limit in p["limits"].items())
    does = (
        "the whole position is closed" if p.get("enforcement") == "close_all" else "what exceeds that is closed at once"
    )
    other = str(p.get("unknown_symbol_action", "block"))
    rest = {"allow": "Other symbols are free.", "block": "No other symbol.", "close": "No other symbol."}.get(other)
    if rest is None:
        rest = f"Any other symbol: at most {_number(other.partition(':')[2])}."
    return f"At most {listed}; {does}. {rest}" if listed else rest


def _frequency(p: Params) -> str:
    limits, waits = p["limits"], p.get("cooldown_on_breach", {})
    parts = []
    for key, word in (("per_minute", "a minute"), ("per_hour", "an hour"), ("per_session", "a session")):
        if limits.get(key) is not None:
            wait = waits.get(f"{key}_breach")
            after = f", then {_seconds(wait)} of cooldown" if wait is not None else ""
            parts.append(f"{_number(limits[key])} {word}{after}")
    if not parts:
        raise ValueError("no limits")
    return f"Entries at most: {'; '.join(parts)}."


def _after_loss(p: Params) -> str:
    parts = [f"{_dollars(t['loss_amount'])} brings {_seconds(t['cooldown_duration'])}" for t in p["loss_thresholds"]]
    return f"A losing exit closes everything and starts a cooldown: {', '.join(parts)}."


def _session(p: Params) -> str:
    window = p.get("global_session") or {}
    parts = []
    if window.get("enabled", bool(window)) and window:
        parts.append(
            f"Trading from {_clock(window['start'])} to {_clock(window['end'])} {_zone(window['timezone'])}, "
            f"{_days(window['days'])}"
        )
    symbols = p.get("per_instrument_sessions") or {}
    if symbols.get("enabled"):
        parts.append(f"own hours for {', '.join(sorted(symbols['sessions']))}")
    if not parts:
        raise ValueError("no window")
    end = "; everything is closed at the end" if p.get("close_positions_at_session_end", True) else ""
    holidays = " Holidays are closed." if p.get("respect_holidays", True) else ""
    return f"{'; '.join(parts)}{end}.{holidays}"


def _management(p: Params) -> str:
    parts = []
    breakeven, trail = p.get("auto_breakeven") or {}, p.get("trailing_stop") or {}
    if breakeven.get("enabled"):
        trigger = wording.counted(_number(breakeven["profit_trigger_ticks"]), "tick")
        parts.append(f"moves to the entry at {trigger} of profit")
    if trail.get("enabled"):
        distance = wording.counted(_number(trail["trail_distance_ticks"]), "tick")
        activation = wording.counted(_number(trail["activation_ticks"]), "tick")
        parts.append(f"follows the price {distance} behind it from {activation} of profit on")
    if not parts:
        raise ValueError("nothing to do")
    return f"Your stop {', then '.join(parts)}; it only ever gets tighter."


def _give_back(p: Params) -> str:
    falls = []
    if p.get("amount") is not None:
        falls.append(_dollars(p["amount"], signed=False))
    if p.get("percent") is not None:
        falls.append(f"{money(p['percent']):f} %")
    if not falls:
        raise ValueError("no limit")
    least = money(p.get("min_peak")) or Decimal(0)
    watched = f" Watched once the day was at {wording.amount(least)}." if least else ""
    return f"When the day's profit falls {' or '.join(falls)} below its peak, {UNTIL_RESET}.{watched}"


def _drawdown(p: Params) -> str:
    peak = "equity of any moment" if p.get("mode") == "intraday" else "balance at a reset"
    stops = f" The floor rises no further than {_dollars(p['lock_at'], signed=False)}." if p.get("lock_at") else ""
    return f"The floor is {_dollars(p['amount'], signed=False)} below the highest {peak}; at it {UNTIL_RESET}.{stops}"


def _adds(p: Params) -> str:
    times = _number(p["max_adds"])
    allowed = {0: "may not be added to", 1: "may be added to once"}.get(times, f"may be added to {times} times")
    return f"A losing position {allowed}; more is taken back."


_SENTENCES: dict[str, Callable[[Params], str]] = {
    "max_contracts": _max_contracts,
    "max_contracts_per_instrument": _per_instrument,
    "daily_realized_loss": lambda p: f"When the day's realized P&L is at {_dollars(p['limit'])}, {UNTIL_RESET}.",
    "daily_unrealized_loss": lambda p: (
        f"A position that stands at {_dollars(p['limit'])} is closed, its orders are cancelled; the account stays free."
    ),
    "max_unrealized_profit": lambda p: (
        f"A position that stands at {_dollars(p['target'])} is closed and its profit taken; the account stays free."
    ),
    "trade_frequency_limit": _frequency,
    "cooldown_after_loss": _after_loss,
    "no_stop_loss_grace": lambda p: (
        f"A position without a stop for its whole size is closed after {_seconds(p['grace_period_seconds'])}."
    ),
    "session_block_outside": _session,
    "auth_loss_guard": lambda p: (
        "While the broker does not allow trading, everything is closed and the account is locked."
    ),
    "symbol_blocks": lambda p: f"{', '.join(p['blocked_symbols'])} may not be held or ordered.",
    "trade_management": _management,
    "daily_realized_profit": lambda p: f"When the day's realized P&L is at {_dollars(p['target'])}, {UNTIL_RESET}.",
    "daily_total_loss": lambda p: (
        f"When realized and unrealized P&L together are at {_dollars(p['limit'])}, {UNTIL_RESET}."
    ),
    "profit_give_back": _give_back,
    "weekly_loss": lambda p: (
        f"When the week's realized P&L is at {_dollars(p['limit'])}, everything is closed and the account is locked."
    ),
    "consecutive_losses": lambda p: (
        f"After {wording.counted(_number(p['limit']), 'losing exit')} in a row nothing new may be opened for "
        f"{_seconds(p['cooldown_duration'])}."
    ),
    "trailing_drawdown": _drawdown,
    "losing_position_adds": _adds,
    "scheduled_flatten": lambda p: f"At {_clock(p['time'])} {_zone(p['timezone'])}, {_days(p['days'])}, {UNTIL_RESET}.",
}

_GENERAL = {
    "max_contracts": "Limits the contracts held in the account.",
    "max_contracts_per_instrument": "Limits the contracts held in each symbol.",
    "daily_realized_loss": f"When the day's realized loss reaches the limit, {UNTIL_RESET}.",
    "daily_unrealized_loss": "Closes a position whose unrealized loss reaches the limit.",
    "max_unrealized_profit": "Closes a position whose unrealized profit reaches the target.",
    "trade_frequency_limit": "Limits how often a position may be entered.",
    "cooldown_after_loss": "A large losing exit starts a cooldown.",
    "no_stop_loss_grace": "Closes a position that has no protecting stop.",
    "session_block_outside": "Trading is allowed within the session only.",
    "symbol_blocks": "Symbols that may not be held or ordered.",
    "trade_management": "Tightens the stop of a winning position.",
    "daily_realized_profit": f"When the day's profit target is reached, {UNTIL_RESET}.",
    "daily_total_loss": f"When realized and unrealized loss together reach the limit, {UNTIL_RESET}.",
    "profit_give_back": f"When too much of the day's profit is given back, {UNTIL_RESET}.",
    "weekly_loss": "Locks the account when the week's loss reaches the limit.",
    "consecutive_losses": "Several losing exits in a row start a cooldown.",
    "trailing_drawdown": "Locks the account when its equity falls to a floor that follows its highest.",
    "losing_position_adds": "Limits adding to a losing position.",
    "scheduled_flatten": "Closes everything at a time of day.",
}
"""For a rule whose settings did not come or are not understood."""
