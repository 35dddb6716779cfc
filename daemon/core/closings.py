"""Exits whose messages have only come in part: what keeps a sum of realized and open P&L right meanwhile.

An exit is told of by its fill (which realizes P&L) and by the position that shrinks (which takes the same P&L out of
what is open), in either order. In between the exit of a position that is down 400 counts 800, or nothing; a limit on
the sum must not be judged by that. `in_flight` is what has to be added to the open P&L until both have come, or until
the other half is given up.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from daemon.core.events import TradeRecord, signed
from daemon.core.rule import View
from daemon.core.state import SETTLING_US, AccountState, Position
from daemon.core.units import SECOND_US

READS_APART_US = 10 * SECOND_US
"""An exit found by a read of the positions is in the read of the trades that follows it, at most so much later."""

OWED_US = 60 * SECOND_US
"""How long fills are taken for those of a balance that came before them."""


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

    def take_off(self, contracts: int) -> None:
        """Some of the contracts have met their other half."""
        self.pnl -= self.pnl * contracts // self.contracts
        self.contracts -= contracts


def in_flight(account: AccountState, view: View) -> int:
    """Micro-dollars to be added to the open P&L of the positions. Worked out once in each judgement, for all rules.

    Each rule that sums asks at each of its judgements, so that no message is missed.
    """
    if view.account is not account:
        view.begin(account)
    known = view.in_flight
    if known is None:
        known = view.in_flight = _closings(account).correction(account, view)
    return known


def any_in_flight(account: AccountState) -> bool:
    """Whether a half waits for the other."""
    return _closings(account).any


def given_up_at(account: AccountState) -> int | None:
    """When the next half that stays alone is given up, microseconds UTC."""
    return _closings(account).next_due()


def _closings(account: AccountState) -> ClosingsInFlight:
    known = account.closings
    if known is None:
        known = account.closings = ClosingsInFlight()
    return known


class ClosingsInFlight:
    """What is known of an account's exits in flight since its rules were set."""

    __slots__ = ("_filled", "_held", "_seen", "_shrunk", "_trades")

    def __init__(self) -> None:
        self._held: dict[str, Position] = {}
        self._trades: dict[int, TradeRecord] | None = None
        self._seen = 0
        self._filled: dict[str, _Half] = {}
        self._shrunk: dict[str, _Half] = {}

    def correction(self, account: AccountState, view: View) -> int:
        """See `in_flight`. Constant from one message to the next."""
        trades = account.ledger.trades
        if trades is not self._trades or len(trades) != self._seen:
            self._take_fills(trades, view)
        changed = self._changed(account, view.contract_id)
        if changed:
            self._take_positions(account, changed, view)
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

    @property
    def any(self) -> bool:
        """Whether a half waits for the other."""
        return bool(self._filled or self._shrunk)

    def next_due(self) -> int | None:
        """When a half that stays alone is given up."""
        if not self._filled and not self._shrunk:
            return None
        return min(half.until for halves in (self._filled, self._shrunk) for half in halves.values())

    def _changed(self, account: AccountState, only: str | None) -> list[str]:
        """Contracts whose position is another than before; of those still held only one can be, if it is given."""
        held, positions = self._held, account.positions
        changed = []
        for contract_id in positions if only is None else (only,):
            position, known = positions.get(contract_id), held.get(contract_id)
            if position is None:
                continue
            if known is None or known.size != position.size or known.average_price != position.average_price:
                changed.append(contract_id)
        if held.keys() - positions.keys():
            changed += [contract_id for contract_id in held if contract_id not in positions]
        return changed

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
                self._match(trade.contract_id, half)
                if half.contracts:
                    _add(self._filled, trade.contract_id, half, view.now)

    def _match(self, contract_id: str, fill: _Half) -> None:
        """Set a fill off against the position that shrank before it."""
        shrunk = self._shrunk.get(contract_id)
        if shrunk is not None and shrunk.direction == fill.direction:
            common = min(shrunk.contracts, fill.contracts)
            shrunk.take_off(common)
            fill.take_off(common)
            if not shrunk.contracts:
                del self._shrunk[contract_id]

    def _take_positions(self, account: AccountState, changed: list[str], view: View) -> None:
        """The positions that became smaller, valued at the price of now."""
        for contract_id in changed:
            before, position = self._held.pop(contract_id, None), account.positions.get(contract_id)
            if position is not None:
                self._held[contract_id] = position.copy()
            if before is None:
                continue
            now = account.size(contract_id)
            same = now * before.size > 0
            if same and abs(now) >= abs(before.size):
                continue
            worth = view.market.unrealized_exactly(before)
            if worth is None:
                continue
            left = view.open_pnl(account).get(contract_id) if same else None
            pnl = worth[0] // worth[1] - (0 if left is None else left[0] // left[1])
            closed = abs(before.size) - abs(now) if same else abs(before.size)
            read_at = account.position_read_at(contract_id)
            until = view.now + (READS_APART_US if read_at else SETTLING_US)
            _add(self._shrunk, contract_id, _Half(1 if before.size > 0 else -1, closed, pnl, until, read_at), view.now)


def _add(halves: dict[str, _Half], contract_id: str, half: _Half, now: int) -> None:
    known = halves.get(contract_id)
    if known is not None and known.direction == half.direction and known.until > now:
        half.contracts += known.contracts
        half.pnl += known.pnl
    halves[contract_id] = half


class BalanceInFlight:
    """The account's balance as it goes with the fills told so far. Asked at each judgement of one rule.

    The balance comes as a message of its own. One that comes after its fills takes their place. One that comes before
    them is owed fills of its sign: while anything is open it waits for them, until `until` (microseconds UTC) at most,
    and for a minute they are taken for its own. `net_then`: the day's net P&L that the balance contains; what a rule
    before this one knew of it may be set at the begin.
    """

    __slots__ = ("_balance", "_before", "_net", "_owed", "_owed_until", "_read_at", "net_then", "until")

    def __init__(self) -> None:
        self._balance: int | None = None
        self._before = 0
        self._read_at = (0, 0)
        self._net = 0
        self._owed = 0
        self._owed_until = 0
        self.net_then: int | None = None
        self.until: int | None = None

    def settled(self, account: AccountState, balance: int, now: int, *, exits: bool) -> int:
        """The balance (micro-dollars) with the net P&L of the fills that it does not contain yet.

        `exits`: whether exits are in flight that no position shows any more.
        """
        exits = exits or bool(account.positions)
        net, read_at = account.ledger.net, (account.trades_read_at, account.ledger.day_start)
        if self._balance is None and self.net_then is not None and account.trades_read_at:
            self._balance, self._read_at, self._net = balance, read_at, net  # the configuration changed: go on
        elif self._balance is None or self.net_then is None or read_at != self._read_at:
            # Another day, or trades that were read: they are in the balance, unless they have only just been made.
            self._balance, self._read_at, self._net, self.net_then = balance, read_at, net, net
            self._owed, self.until = 0, None
            return balance
        told, self._net = net - self._net, net
        if balance != self._balance:
            self._owed = balance - self._balance if net == self.net_then else 0
            self._owed_until = now + OWED_US
            self._before, self.until = self._balance - net, now + SETTLING_US if self._owed and exits else None
            self._balance, self.net_then = balance, net
        elif told * self._owed > 0 and now < self._owed_until:
            part = min(told, self._owed, key=abs)
            self.net_then += part
            self._owed -= part
        if not self._owed or not exits or (self.until is not None and now >= self.until):
            self.until = None
        return self._before + net if self.until is not None else balance + net - self.net_then
