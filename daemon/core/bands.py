"""Which quotes matter: price bands around the open positions, so that a quote inside its band touches no account.

A rule names the unrealized P&L at which it must be judged (`Watch`); here that becomes a price. Per contract the
tightest band of all holders counts: the cost of a quote inside it is the same for one account as for twenty, and a
quote outside touches only the accounts whose own band it leaves.
"""

# Compared by hand in here, because `min` and `max` cost four times as much.
# ruff: noqa: PLR1730

from __future__ import annotations

from dataclasses import dataclass

from daemon.core.events import Contract
from daemon.core.state import Position

NEVER_LOW = -1
NEVER_HIGH = 1 << 62
_NONE: set[str] = set()


@dataclass(slots=True)
class Band:
    """Prices in nanos strictly between which nothing has to be judged: bids for longs, asks for shorts."""

    bid_low: int = NEVER_LOW
    bid_high: int = NEVER_HIGH
    ask_low: int = NEVER_LOW
    ask_high: int = NEVER_HIGH

    def narrow(self, other: Band) -> None:
        """Let nothing pass that the other does not."""
        if other.bid_low > self.bid_low:
            self.bid_low = other.bid_low
        if other.bid_high < self.bid_high:
            self.bid_high = other.bid_high
        if other.ask_low > self.ask_low:
            self.ask_low = other.ask_low
        if other.ask_high < self.ask_high:
            self.ask_high = other.ask_high

    def holds(self, bid: int, ask: int) -> bool:
        """Whether prices (0 = none) lie inside."""
        return self.bid_low < bid < self.bid_high and self.ask_low < ask < self.ask_high


class Bands:
    """The bands of every holder of every contract, and the tightest of each contract."""

    __slots__ = ("_held", "_of", "_tightest")

    def __init__(self) -> None:
        self._of: dict[str, dict[int, Band]] = {}
        self._tightest: dict[str, Band] = {}
        self._held: dict[int, set[str]] = {}

    def tightest(self, contract_id: str) -> Band | None:
        """The band that no quote may leave unseen; None when nobody holds the contract."""
        return self._tightest.get(contract_id)

    def left_by(self, contract_id: str, bid: int, ask: int) -> list[int]:
        """Accounts whose own band these prices leave, in the order of their ids."""
        of = self._of.get(contract_id, {})
        return sorted(account_id for account_id, band in of.items() if not band.holds(bid, ask))

    def holders(self, contract_id: str) -> list[int]:
        """Accounts that hold a contract, in the order of their ids."""
        return sorted(self._of.get(contract_id, ()))

    def contracts(self) -> set[str]:
        """Contracts that any account holds."""
        return set(self._of)

    def held_by(self, account_id: int) -> set[str]:
        """Contracts for which the account has bands."""
        return self._held.get(account_id, _NONE)

    def set(self, account_id: int, bands: dict[str, Band]) -> None:
        """Replace all bands of an account."""
        before = self._held.get(account_id, set())
        for contract_id in before - bands.keys():
            of = self._of[contract_id]
            del of[account_id]
            if of:
                self._tighten(contract_id)
            else:
                del self._of[contract_id], self._tightest[contract_id]
        for contract_id, band in bands.items():
            self.put(account_id, contract_id, band)
        self._held[account_id] = set(bands)

    def put(self, account_id: int, contract_id: str, band: Band) -> None:
        """Replace the band of one contract that the account holds."""
        holders = self._of.get(contract_id)
        if holders is None:
            holders = self._of[contract_id] = {}
            self._tightest[contract_id] = Band()
        known = holders.get(account_id)
        holders[account_id] = band
        tightest = self._tightest[contract_id]
        if known is not None and _loosens(known, band, tightest):
            self._tighten(contract_id)
        else:
            tightest.narrow(band)

    def _tighten(self, contract_id: str) -> None:
        bid_low, bid_high, ask_low, ask_high = NEVER_LOW, NEVER_HIGH, NEVER_LOW, NEVER_HIGH
        for band in self._of[contract_id].values():
            if band.bid_low > bid_low:
                bid_low = band.bid_low
            if band.bid_high < bid_high:
                bid_high = band.bid_high
            if band.ask_low > ask_low:
                ask_low = band.ask_low
            if band.ask_high < ask_high:
                ask_high = band.ask_high
        self._tightest[contract_id] = Band(bid_low, bid_high, ask_low, ask_high)


def _loosens(known: Band, band: Band, tightest: Band) -> bool:
    """Whether a band in place of a known one may leave the tightest of all less tight."""
    return (
        band.bid_low < known.bid_low == tightest.bid_low
        or band.bid_high > known.bid_high == tightest.bid_high
        or band.ask_low < known.ask_low == tightest.ask_low
        or band.ask_high > known.ask_high == tightest.ask_high
    )


def band_of(position: Position, contract: Contract, loss_at: int | None, gain_at: int | None) -> Band:
    """The prices strictly between which a position's unrealized P&L (micro-dollars) stays above `loss_at` and below
    `gain_at`; None: no end.
    """
    low, high = NEVER_LOW, NEVER_HIGH
    size, average = position.size, position.average_price
    per_nano = contract.tick_value * abs(size)
    if per_nano > 0 and contract.tick_size > 0:
        if loss_at is not None:
            move = loss_at * contract.tick_size // per_nano  # rounded down: towards the loss
            if size > 0:
                low = average + move
            else:
                high = average - move
        if gain_at is not None:
            move = -(-gain_at * contract.tick_size // per_nano)  # rounded up: towards the gain
            if size > 0:
                high = average + move
            else:
                low = average - move
    return Band(low, high) if size > 0 else Band(NEVER_LOW, NEVER_HIGH, low, high)
