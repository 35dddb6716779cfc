"""Exits whose messages have only come in part: what keeps a sum of realized and open P&L right meanwhile.

An exit is told of by its fill (which realizes P&L) and by the position that shrinks (which takes the same P&L out of
what is open), in either order. In between the exit of a position that is down 400 counts 800, or nothing; a limit on
the sum must not be judged by that. `ClosingsInFlight.correction` is what has to be added to the open P&L until both
have come, or until the other half is given up.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from daemon.core.events import TradeRecord, signed
from daemon.core.rule import View
from daemon.core.state import SETTLING_US, AccountState
from daemon.core.units import SECOND_US

READS_APART_US = 10 * SECOND_US
"""An exit found by a read of the positions is in the read of the trades that follows it, at most so much later."""


@dataclass(slots=True)
class _Half:
    """One half of an exit: contracts of a position of that direction, and their P&L in micro-dollars.

    `until`: when the other half is given up. `read_at`: start of the read that showed it, 0 when it was pushed.
    """

    direction: int
    contracts: int
    pnl: int
    until: int
    read_at: int = 0

    def still(self, unmatched: int, now: int) -> int:
        """Contracts of it whose other half has not come, given the signed size that is not matched."""
        if unmatched * self.direction >= 0 or now >= self.until:
            return 0
        return min(self.contracts, abs(unmatched))


class ClosingsInFlight:
    """What one rule knows of an account's exits in flight. Asked at each of its judgements."""

    __slots__ = ("_filled", "_held", "_seen", "_shrunk", "_trades")

    def __init__(self) -> None:
        self._held: dict[str, tuple[int, int]] = {}
        self._trades: dict[int, TradeRecord] | None = None
        self._seen = 0
        self._filled: dict[str, _Half] = {}
        self._shrunk: dict[str, _Half] = {}

    def correction(self, account: AccountState, view: View) -> int:
        """Micro-dollars to be added to the open P&L of the positions. Constant from one message to the next."""
        trades = account.ledger.trades
        if trades is not self._trades or len(trades) != self._seen:
            self._take_fills(trades, view)
        if self._changed(account):
            self._take_positions(account, view)
        if not self._filled and not self._shrunk:
            return 0
        total, now = 0, view.now
        for contract_id, half in list(self._filled.items()):
            open_size = max(0, account.size(contract_id) * half.direction)  # of what is not held nothing is open
            part = min(open_size, half.still(account.unseen_fills(contract_id, now), now))
            total -= half.pnl * part // half.contracts
            if not part:
                del self._filled[contract_id]
        for contract_id, half in list(self._shrunk.items()):
            if half.read_at:
                part = half.contracts if account.trades_read_at < half.read_at and now < half.until else 0
            else:
                part = half.still(account.unexplained_update(contract_id, now), now)
            total += half.pnl * part // half.contracts
            if not part:
                del self._shrunk[contract_id]
        return total

    def next_due(self) -> int | None:
        """When a half that stays alone is given up."""
        if not self._filled and not self._shrunk:
            return None
        return min(half.until for halves in (self._filled, self._shrunk) for half in halves.values())

    def _changed(self, account: AccountState) -> bool:
        held, positions = self._held, account.positions
        if len(held) != len(positions):
            return True
        for contract_id, position in positions.items():
            if held.get(contract_id) != (position.size, position.average_price):
                return True
        return False

    def _take_fills(self, trades: dict[int, TradeRecord], view: View) -> None:
        """The closing fills that are new. What was there when the rule began has been settled long since."""
        first = self._trades is None
        if trades is not self._trades:
            self._trades, self._seen = trades, 0
        new = [] if first else list(islice(reversed(trades.values()), len(trades) - self._seen))
        self._seen = len(trades)
        for trade in reversed(new):
            if trade.pnl is not None and not trade.voided and trade.size > 0:
                half = _Half(-signed(trade.side, 1), trade.size, trade.pnl, view.now + SETTLING_US)
                _add(self._filled, trade.contract_id, half, view.now)

    def _take_positions(self, account: AccountState, view: View) -> None:
        """The positions that became smaller, valued at the price of now."""
        for contract_id, (size, average) in self._held.items():
            now = account.size(contract_id)
            contract = view.market.contracts.get(contract_id)
            price = view.market.exit_price(contract_id, size)
            if (now * size > 0 and abs(now) >= abs(size)) or contract is None or contract.tick_size <= 0 or not price:
                continue
            pnl = (price - average) * contract.tick_value * size // contract.tick_size
            left = view.open_pnl(account).get(contract_id) if now * size > 0 else None
            if left is not None:
                pnl -= left[0] // left[1]
            closed = abs(size - now) if now * size > 0 else abs(size)
            read_at = account.position_read_at(contract_id)
            until = view.now + (READS_APART_US if read_at else SETTLING_US)
            _add(self._shrunk, contract_id, _Half(1 if size > 0 else -1, closed, pnl, until, read_at), view.now)
        self._held = {held.contract_id: (held.size, held.average_price) for held in account.positions.values()}


def _add(halves: dict[str, _Half], contract_id: str, half: _Half, now: int) -> None:
    known = halves.get(contract_id)
    if known is not None and known.direction == half.direction and known.until > now:
        half.contracts += known.contracts
        half.pnl += known.pnl
    halves[contract_id] = half
