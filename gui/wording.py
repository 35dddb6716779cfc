"""Figures, durations and states as words. Pure functions, no Qt: what the trader reads is tested here.

Amounts carry a sign and the typographic minus (U+2212); `plain=True` gives ASCII for files and the clipboard.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from zoneinfo import ZoneInfo

from gui.records import Enforcement, Kind, Lockout, rule_title
from shared.models import OrderStatus, OrderType, PositionType, Side

UNKNOWN = "–"
MINUS = "\u2212"
CENT = Decimal("0.01")
_MINUS_SIGN = re.compile(r"(?<![\w.-])-(?=\d)")

ZONE_NAMES = {
    "America/New_York": "New York",
    "America/Chicago": "Chicago",
    "Europe/London": "London",
    "Europe/Berlin": "Berlin",
    "UTC": "UTC",
}


def amount(value: Decimal | None, *, signed: bool = True, plain: bool = False) -> str:
    """Dollars with two decimals and thousands separators: "+1,250.00", "−510.74", "0.00"; "–" when unknown."""
    if value is None:
        return "" if plain else UNKNOWN
    rounded = value.quantize(CENT, ROUND_HALF_EVEN)
    if plain:
        return f"{rounded:f}"
    digits = f"{abs(rounded):,.2f}"
    if rounded < 0:
        return MINUS + digits
    return f"+{digits}" if signed and rounded > 0 else digits


def trend(value: Decimal | None) -> str:
    """An arrow beside an amount, so that the colour never says it alone."""
    if value is None or value == 0:
        return ""
    return "▲" if value > 0 else "▼"


def typographic(words: str) -> str:
    """The minus of numbers in a text of the daemon as in our own figures: "-510.74" becomes "−510.74"."""
    return _MINUS_SIGN.sub(MINUS, words)


def price(value: Decimal | None) -> str:
    """A price with the decimals it came with, at least two; "–" when unknown."""
    if value is None:
        return UNKNOWN
    normal = value.normalize()
    exponent = normal.as_tuple().exponent
    places = max(2, -exponent if isinstance(exponent, int) else 2)
    return f"{value:,.{places}f}"


def counted(number: int, one: str, many: str = "") -> str:
    """ "1 fill", "3 fills"; `many` where an s does not make the plural."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def duration(span: timedelta | float, *, seconds: bool = True) -> str:
    """ "45 s", "12 min 05 s", "3 h 27 min", "2 days 4 h". Rounded down; never negative."""
    total = int(span.total_seconds() if isinstance(span, timedelta) else span)
    total = max(0, total)
    days, rest = divmod(total, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, secs = divmod(rest, 60)
    if days:
        return f"{counted(days, 'day')} {hours} h"
    if hours:
        return f"{hours} h {minutes:02d} min"
    if minutes:
        return f"{minutes} min {secs:02d} s" if seconds else f"{minutes} min"
    return f"{secs} s" if seconds else "less than a minute"


def countdown(span: timedelta) -> str:
    """A running clock: "00:04:09", "27:15:00" (hours are not folded into days up to four days)."""
    total = max(0, int(span.total_seconds()))
    if total >= 4 * 86_400:
        return duration(total)
    hours, rest = divmod(total, 3600)
    return f"{hours:02d}:{rest // 60:02d}:{rest % 60:02d}"


def age(seconds: float) -> str:
    """How old something is: "just now", "12 s ago", "3 min ago"."""
    if seconds < 2:
        return "just now"
    if seconds < 60:
        return f"{int(seconds)} s ago"
    return f"{duration(seconds, seconds=False)} ago"


def milliseconds(value: float | None) -> str:
    """ "84 ms", "1.32 s"; "–" when unknown."""
    if value is None:
        return UNKNOWN
    return f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.2f} s"


class Calendar:
    """Times of day in the zone of the reset, said with its name: the machine's own zone is never used."""

    def __init__(self, zone: str = "America/New_York") -> None:
        try:
            self._zone = ZoneInfo(zone)
            self.zone = zone
        except (KeyError, ValueError, OSError):
            self._zone = ZoneInfo("America/New_York")
            self.zone = "America/New_York"

    @property
    def zone_name(self) -> str:
        return ZONE_NAMES.get(self.zone, self.zone.rpartition("/")[2].replace("_", " "))

    def local(self, at: datetime) -> datetime:
        return at.astimezone(self._zone)

    def clock(self, at: datetime | None) -> str:
        """ "14:32:05"; "–" when unknown."""
        return UNKNOWN if at is None else f"{self.local(at):%H:%M:%S}"

    def clock_ms(self, at: datetime | None) -> str:
        """ "14:32:05.123"."""
        return UNKNOWN if at is None else f"{self.local(at):%H:%M:%S.%f}"[:-3]

    def stamp(self, at: datetime | None) -> str:
        """ "Fri 21 Nov 14:32:05"."""
        return UNKNOWN if at is None else f"{self.local(at):%a %d %b %H:%M:%S}"

    def until(self, at: datetime, now: datetime | None) -> str:
        """ "17:00 New York", with the day in front when it is not today: "Sat 22 Nov, 17:00 New York"."""
        local = self.local(at)
        form = "%H:%M" if local.second == 0 else "%H:%M:%S"
        clock = f"{local:{form}} {self.zone_name}"
        if now is not None and self.local(now).date() == local.date():
            return clock
        return f"{local:%a %d %b}, {clock}"


def sentence_case(words: str) -> str:
    """First letter upper case, one full stop at the end, true minus signs."""
    words = typographic(words.strip())
    if not words:
        return ""
    words = words[0].upper() + words[1:]
    return words if words[-1] in ".!?" else words + "."


_KIND_HEAD = {
    Kind.HARD: "Locked",
    Kind.MANUAL: "Locked",
    Kind.UNKNOWN: "Locked",
    Kind.API: "Locked",
    Kind.COOLDOWN: "Cooling down",
    Kind.SESSION: "Outside the trading session, locked",
}

_KIND_END = {
    Kind.API: "until the broker allows trading again",
    Kind.SYMBOL: "until an administrator ends it",
    Kind.SESSION: "until the next session starts",
}

_KIND_MEANS = {
    Kind.HARD: "Every new position is closed and every order cancelled until then.",
    Kind.MANUAL: "Every new position is closed and every order cancelled until then.",
    Kind.UNKNOWN: "Every new position is closed and every order cancelled until then.",
    Kind.API: "The broker does not allow trading on this account. Ask your firm why; the lock ends by itself.",
    Kind.COOLDOWN: "What you hold may stay, shrink and be protected. Anything that opens or adds is taken back.",
    Kind.SESSION: "Positions and orders outside the session are closed and cancelled.",
    Kind.SYMBOL: "Positions and orders in it are closed and cancelled; other symbols are free.",
}


def lockout_headline(lockout: Lockout, calendar: Calendar, now: datetime | None) -> str:
    """ "Locked until 17:00 New York", "Cooling down until …", "RTY is blocked …"."""
    if lockout.expires_at is not None:
        end = f"until {calendar.until(lockout.expires_at, now)}"
    else:
        end = _KIND_END.get(lockout.kind, "until its condition ends")
    if lockout.symbol:
        return f"{lockout.symbol} is blocked {end}"
    return f"{_KIND_HEAD.get(lockout.kind, 'Locked')} {end}"


def lockout_sentence(lockout: Lockout, calendar: Calendar, now: datetime | None) -> str:
    """Headline and reason in one sentence: "Locked until 17:00 New York: daily loss -510.74 reached …"."""
    reason = lockout.reason.strip() or rule_title(lockout.rule_id)
    return sentence_case(f"{lockout_headline(lockout, calendar, now)}: {reason}")


def lockout_means(lockout: Lockout) -> str:
    """What the trader can and can't do meanwhile."""
    return _KIND_MEANS.get(lockout.kind, _KIND_MEANS[Kind.HARD])


def progress(open_positions: int, working_orders: int) -> str:
    """What still has to happen while an account is locked hard; says that all is done when it is."""
    parts = []
    if open_positions:
        parts.append("one position is" if open_positions == 1 else f"{open_positions} positions are")
    if not parts and not working_orders:
        return "Nothing is open."
    closing = f"{parts[0].capitalize()} being closed" if parts else ""
    if not working_orders:
        return f"{closing}."
    cancelling = "one order cancelled" if working_orders == 1 else f"{working_orders} orders cancelled"
    if closing:
        return f"{closing}, {cancelling}."
    return "One order is being cancelled." if working_orders == 1 else f"{working_orders} orders are being cancelled."


ACTIONS = {
    "close_position": "Closed position",
    "reduce_position": "Reduced position",
    "cancel_order": "Cancelled order",
    "modify_order": "Moved stop",
    "lockout_set": "Locked",
    "lockout_cleared": "Lock ended",
}
RESULTS = {"confirmed": "Confirmed", "failed": "Failed", "superseded": "No longer needed", "": "Under way"}


def enforcement_action(entry: Enforcement) -> str:
    """ "Closed position MNQ 2", "Cancelled order ES", "Locked"."""
    words = ACTIONS.get(entry.action, entry.action.replace("_", " ").capitalize())
    if entry.symbol and not entry.action.startswith("lockout"):
        words += f" {entry.symbol}"
        if entry.size and entry.action != "modify_order":
            words += f" × {entry.size}"
    return words


def enforcement_sentence(entry: Enforcement) -> str:
    """ "Closed position MNQ × 2: daily loss −510.74 reached …"."""
    reason = entry.reason or rule_title(entry.rule_id)
    return sentence_case(f"{enforcement_action(entry)}: {reason}")


def because(rule_id: str, reason: str) -> str:
    """Rule and reason in one line: "Daily realized loss: daily loss −510.74 reached the limit of −500.00."."""
    title = rule_title(rule_id)
    return sentence_case(f"{title}: {reason}") if reason.strip() else title


def side_word(side: PositionType | Side | None) -> str:
    """Direction in a word; "Unknown" when the daemon could not tell."""
    if side is PositionType.LONG:
        return "Long"
    if side is PositionType.SHORT:
        return "Short"
    if side is PositionType.FLAT:
        return "Flat"
    if side is Side.BUY:
        return "Buy"
    if side is Side.SELL:
        return "Sell"
    return "Unknown"


ORDER_TYPES = {
    OrderType.UNKNOWN: "Unknown",
    OrderType.LIMIT: "Limit",
    OrderType.MARKET: "Market",
    OrderType.STOP_LIMIT: "Stop limit",
    OrderType.STOP: "Stop",
    OrderType.TRAILING_STOP: "Trailing stop",
    OrderType.JOIN_BID: "Join bid",
    OrderType.JOIN_ASK: "Join ask",
}
ORDER_STATES = {
    OrderStatus.NONE: "Unknown",
    OrderStatus.OPEN: "Working",
    OrderStatus.FILLED: "Filled",
    OrderStatus.CANCELLED: "Cancelled",
    OrderStatus.EXPIRED: "Expired",
    OrderStatus.REJECTED: "Rejected",
    OrderStatus.PENDING: "Pending",
    OrderStatus.PENDING_CANCELLATION: "Being cancelled",
    OrderStatus.SUSPENDED: "Suspended",
}
