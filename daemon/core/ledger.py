"""The trades of one account's trading day: realized P&L, entries, closing orders.

Everything here is a function of the set of trades, keyed by trade id: a trade that comes twice changes nothing, a later
`voided` takes it back, and the order in which trades arrive does not matter. The cost of one more trade does not grow
with their number. `entry_log` and `closing_log` name, in the order of arrival, the times of new entries and the ids of
closing orders that changed: a rule that remembers how far it has read them looks only at what is new. A new day begins
new lists.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field

from daemon.core.events import TradeRecord, signed
from daemon.core.units import SECOND_US

KEPT_US = 26 * 3600 * SECOND_US
"""Entries are remembered this long across a reset: a session window (RULE-006) can span it."""

_AFTER = 1 << 63
"""Beyond every order id: (time, _AFTER) comes after all entries of that time."""


@dataclass(slots=True)
class ClosingOrder:
    """The closing fills of one order, summed; micro-dollars. `fills` counts those not voided."""

    order_id: int
    contract_id: str
    net: int = 0
    gross: int = 0
    fills: int = 0
    first_at: int = 0
    last_at: int = 0


@dataclass(slots=True)
class Entry:
    """An order with at least one opening fill; `at` is the time of its first, `size` the contracts opened by it."""

    order_id: int
    contract_id: str
    at: int
    direction: int
    fills: int = 0
    size: int = 0


@dataclass(slots=True)
class Ledger:
    """Trades from `day_start` (inclusive) to `day_end`; sums in micro-dollars."""

    day_start: int = 0
    day_end: int = 0
    net: int = 0
    gross: int = 0
    count: int = 0
    trades: dict[int, TradeRecord] = field(default_factory=dict)
    entries: dict[int, Entry] = field(default_factory=dict)
    closings: dict[int, ClosingOrder] = field(default_factory=dict)
    early: dict[int, TradeRecord] = field(default_factory=dict)
    history: dict[int, TradeRecord] = field(default_factory=dict)
    entry_log: list[int] = field(default_factory=list)
    closing_log: list[int] = field(default_factory=list)
    first_trade_at: int = 0
    last_trade_at: int = 0
    _peak_net: int = 0
    _peak_gross: int = 0
    _peaks_known: bool = True
    _entry_times: list[tuple[int, int]] = field(default_factory=list)
    _earlier_entries: list[tuple[int, int]] = field(default_factory=list)
    _earlier_at: dict[int, int] = field(default_factory=dict)
    _split: dict[int, tuple[int, int]] = field(default_factory=dict)
    _earlier_sum: tuple[int, int, int] | None = None

    def begin_day(self, day_start: int, day_end: int) -> None:
        """Start a trading day; trades that came ahead of it are counted now."""
        carried = [entry for entry in self._earlier_entries + self._entry_times if entry[0] > day_start - KEPT_US]
        early, closed = self.early, self.trades
        self.day_start, self.day_end = day_start, day_end
        self.net = self.gross = self.count = 0
        self.trades, self.entries, self.closings, self.early = {}, {}, {}, {}
        self.entry_log, self.closing_log = [], []
        self.history.update(closed)
        self._earlier_sum = None
        self.first_trade_at = self.last_trade_at = 0
        self._peak_net = self._peak_gross = 0
        self._peaks_known = True
        self._entry_times = []
        self._earlier_entries = carried
        self._earlier_at = {order_id: at for at, order_id in reversed(carried)}
        self._split = {}
        for trade in early.values():
            self.add(trade)

    def add(self, trade: TradeRecord) -> bool:
        """Take a trade in. Returns whether anything changed."""
        if trade.created_at < self.day_start:
            return self._add_earlier(trade)
        if trade.created_at >= self.day_end:
            self.early[trade.trade_id] = trade
            return False
        known = self.trades.get(trade.trade_id)
        if known is not None:
            if known == trade:
                return False
            if known.voided and not trade.voided:
                return False  # a late copy of the trade as it was before it was voided
            self._count(known, -1)
        in_order = known is None and trade.created_at >= self.last_trade_at
        self.trades[trade.trade_id] = trade
        self._count(trade, 1)
        if not in_order:
            self._peaks_known = False
        self._peak_net = max(self._peak_net, self.net)
        self._peak_gross = max(self._peak_gross, self.gross)
        if not self.first_trade_at or trade.created_at < self.first_trade_at:
            self.first_trade_at = trade.created_at
        self.last_trade_at = max(self.last_trade_at, trade.created_at)
        return True

    def entries_since(self, since: int, until: int) -> int:
        """Entries with `since` < time <= `until`, those of the last hours before the day included."""
        count = 0
        for times in (self._entry_times, self._earlier_entries):
            if not times or times[-1][0] <= since:
                continue
            count += bisect_right(times, (until, _AFTER)) - bisect_right(times, (since, _AFTER))
        # An order that was filled on both sides of the reset is one entry.
        return count - sum(since < before and at <= until for before, at in self._split.values())

    def oldest_entry_since(self, since: int) -> int | None:
        """Time of the first entry after `since`, those of the last hours before the day included."""
        found = [
            times[place][0]
            for times in (self._entry_times, self._earlier_entries)
            if (place := bisect_right(times, (since, _AFTER))) < len(times)
        ]
        return min(found, default=None)

    def entries_from(self, at: int) -> list[tuple[int, int]]:
        """(time, order id) of the day's entries at or after a time, in the order of time."""
        return self._entry_times[bisect_left(self._entry_times, (at, 0)) :]

    def peak(self, *, net: bool) -> int:
        """Highest realized P&L of the day so far, never below 0, in the order of the trades' times."""
        if not self._peaks_known:
            sums, peaks = [0, 0], [0, 0]
            for trade in sorted(self.trades.values(), key=lambda trade: (trade.created_at, trade.trade_id)):
                if not trade.voided:
                    sums[0] += (trade.pnl or 0) - trade.fees
                    sums[1] += trade.pnl or 0
                    peaks = [max(peak, total) for peak, total in zip(peaks, sums, strict=True)]
            self._peak_net, self._peak_gross = peaks
            self._peaks_known = True
        return self._peak_net if net else self._peak_gross

    def losing_streak(self, *, net: bool, at_most: int | None = None) -> list[ClosingOrder]:
        """The closing orders since the last one that did not lose, latest first; no more than `at_most` of them."""
        streak: list[ClosingOrder] = []
        for closing in reversed(self.closings.values()):
            if len(streak) == at_most:
                break
            if closing.fills <= 0:
                continue
            if (closing.net if net else closing.gross) >= 0:
                break
            streak.append(closing)
        return streak

    def last_closing(self) -> ClosingOrder | None:
        """The closing order that filled last."""
        return next((closing for closing in reversed(self.closings.values()) if closing.fills > 0), None)

    def earlier_realized(self, since: int, *, net: bool) -> int:
        """Realized P&L of trades from `since` to the start of this day, as far as they were read."""
        if self._earlier_sum is None or self._earlier_sum[0] != since:
            counted = [t for t in self.history.values() if since <= t.created_at < self.day_start and not t.voided]
            gross = sum(trade.pnl or 0 for trade in counted)
            self._earlier_sum = (since, gross - sum(trade.fees for trade in counted), gross)
        return self._earlier_sum[1 if net else 2]

    def forget_before(self, at: int) -> None:
        """Drop trades of earlier days that nothing asks for any more."""
        self.history = {key: trade for key, trade in self.history.items() if trade.created_at >= at}
        self._earlier_sum = None

    def _add_earlier(self, trade: TradeRecord) -> bool:
        known = self.history.get(trade.trade_id)
        if known == trade or (known is not None and known.voided and not trade.voided):
            return False
        self.history[trade.trade_id] = trade
        self._earlier_sum = None
        if trade.pnl is None and trade.created_at > self.day_start - KEPT_US:
            self._add_earlier_entry(trade)
        return True

    def _add_earlier_entry(self, trade: TradeRecord) -> None:
        known = self._earlier_at.get(trade.order_id)
        if not trade.voided and (known is None or trade.created_at < known):
            first = trade.created_at
        elif trade.voided and trade.created_at == known:
            fills = [
                fill.created_at
                for fill in self.history.values()
                if fill.order_id == trade.order_id and fill.pnl is None and not fill.voided
            ]
            first = min(fills, default=0)
        else:
            return
        if known is not None:
            self._earlier_entries.remove((known, trade.order_id))
            del self._earlier_at[trade.order_id]
        if first:
            insort(self._earlier_entries, (first, trade.order_id))
            self._earlier_at[trade.order_id] = first

    def _count(self, trade: TradeRecord, sign: int) -> None:
        if trade.voided:
            return
        gross = trade.pnl or 0
        net = gross - trade.fees
        self.net += sign * net
        self.gross += sign * gross
        self.count += sign
        if trade.pnl is None:
            self._count_entry(trade, sign)
            return
        closing = self.closings.get(trade.order_id)
        if closing is None:
            closing = ClosingOrder(trade.order_id, trade.contract_id, first_at=trade.created_at)
            self.closings[trade.order_id] = closing
        self.closing_log.append(trade.order_id)
        closing.net += sign * net
        closing.gross += sign * gross
        closing.fills += sign
        closing.first_at = min(closing.first_at, trade.created_at)
        if trade.created_at > closing.last_at or not closing.last_at:
            closing.last_at = trade.created_at
            self._reorder(closing)

    def _reorder(self, closing: ClosingOrder) -> None:
        """Keep `closings` in the order of the last fills, whatever order they arrive in."""
        del self.closings[closing.order_id]
        later = []
        while self.closings:
            order_id, last = self.closings.popitem()
            if (last.last_at, last.order_id) <= (closing.last_at, closing.order_id):
                self.closings[order_id] = last
                break
            later.append(last)
        self.closings[closing.order_id] = closing
        for moved in reversed(later):
            self.closings[moved.order_id] = moved

    def _count_entry(self, trade: TradeRecord, sign: int) -> None:
        entry = self.entries.get(trade.order_id)
        if entry is None:
            entry = self.entries[trade.order_id] = Entry(
                trade.order_id, trade.contract_id, trade.created_at, signed(trade.side, 1)
            )
        entry.fills += sign
        entry.size += sign * trade.size
        if sign > 0 and entry.fills == 1:
            entry.at = trade.created_at
            self._insert_entry(entry)
        elif sign > 0 and trade.created_at < entry.at:
            self._remove_entry(entry)
            entry.at = trade.created_at
            self._insert_entry(entry)
        elif entry.fills <= 0:
            self._remove_entry(entry)
            del self.entries[trade.order_id]

    def _insert_entry(self, entry: Entry) -> None:
        item = (entry.at, entry.order_id)
        self.entry_log.append(entry.at)
        before = self._earlier_at.get(entry.order_id)
        if before is not None:
            self._split[entry.order_id] = (before, entry.at)
        if not self._entry_times or self._entry_times[-1] <= item:
            self._entry_times.append(item)
        else:
            insort(self._entry_times, item)

    def _remove_entry(self, entry: Entry) -> None:
        item = (entry.at, entry.order_id)
        self._split.pop(entry.order_id, None)
        self._entry_times = [held for held in self._entry_times if held != item]
