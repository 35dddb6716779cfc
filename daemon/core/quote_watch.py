"""Which quotes must be judged and for whom: the rules' watches as price bands, and quotes that have stopped coming."""

from __future__ import annotations

from collections.abc import Iterable

from daemon.core import failures
from daemon.core.bands import Band, Bands, band_of
from daemon.core.decisions import Decision, Warn
from daemon.core.market import STALE_QUOTE_US
from daemon.core.rule import EVERY_QUOTE, RuleState, View, Watch, next_level
from daemon.core.shares import Shares, spread
from daemon.core.state import AccountState, Position

MOST_UNSET = 4
"""Accounts whose bands may wait for the next quote: what they cost must not add up in one."""


class QuoteWatch:
    """The bands of all positions; see `daemon.core.bands`. `stale`: held contracts without a quote for 10 s.

    A fill is told of by an order, a trade and a position; bands are needed by the next quote. So an account's bands are
    set at once only when it holds other contracts than before, or when many wait; else it is `unset`, by account id
    with the only contract concerned (None: any).
    """

    __slots__ = ("_shares", "bands", "stale", "unset")

    def __init__(self) -> None:
        self.bands = Bands()
        self._shares: dict[int, Shares] = {}
        self.stale: set[str] = set()
        self.unset: dict[int, str | None] = {}

    def later(self, account_id: int, positions: dict[str, Position], contract_id: str | None) -> bool:
        """Note that an account's bands must be set before the next quote; False: they must be at once."""
        unset = self.unset
        if account_id in unset:
            if unset[account_id] != contract_id:
                unset[account_id] = None
        elif len(unset) >= MOST_UNSET:
            return False
        elif positions:
            unset[account_id] = contract_id
        return positions.keys() == self.bands.held_by(account_id)

    def set(  # noqa: PLR0917
        self,
        account: AccountState,
        judged: Iterable[RuleState],
        quoting: Iterable[RuleState],
        contract_id: str | None,
        view: View,
        out: list[Decision],
    ) -> None:
        """Find the bands of an account's positions anew, as far as the rules that were judged look at quotes.

        `contract_id`: what they were judged on is about this contract alone.
        """
        bands, account_id, positions = self.bands, account.account_id, account.positions
        asked = every = sums = False
        for state in judged:
            if not state.quoted:
                continue
            level = next_level(state.warned)
            if state.rule.sums:
                sums = True
                state.total = _total(account, state, level, view, out)
            else:
                asked = True
                every |= _ask(account, state, level, contract_id, view, out)
            state.level = level
        shares = self._shares.get(account_id)
        if sums:
            shares, anew = spread(shares, account, quoting, contract_id, view)
            self._shares[account_id] = shares
            every |= anew
            asked = True
        if every or positions.keys() != bands.held_by(account_id):
            bands.set(
                account_id, {held: _band(position, quoting, shares, view) for held, position in positions.items()}
            )
        elif asked and contract_id in positions:
            bands.put(account_id, contract_id, _band(positions[contract_id], quoting, shares, view))

    def find_stale(self, accounts: dict[int, AccountState], view: View, out: list[Decision]) -> None:
        """Warn the holders of contracts whose quotes have stopped coming, once each time they stop."""
        now, market = view.now, view.market
        held = self.bands.contracts()
        for contract_id in sorted(held):
            book = market.books.get(contract_id)
            quoted_at = book.at if book is not None else 0
            opened = (accounts[holder].positions[contract_id] for holder in self.bands.holders(contract_id))
            if now - max(quoted_at, *(position.opened_at for position in opened)) <= STALE_QUOTE_US:
                self.stale.discard(contract_id)
            elif contract_id not in self.stale:
                self.stale.add(contract_id)
                text = (
                    f"No quote for {market.symbol(contract_id)} for 10 s: unrealized P&L is not known and limits on it"
                    " cannot be judged."
                )
                for account_id in self.bands.holders(contract_id):
                    out.append(Warn(now, account_id, "", 0, text, contract_id))
        self.stale &= held


def _total(account: AccountState, state: RuleState, level: int, view: View, out: list[Decision]) -> Watch:
    """Ask a rule that sums at which total it must see a quote."""
    try:
        return state.rule.watch_total(account, view, level)
    except Exception as error:  # noqa: BLE001 - law 9: one broken rule stays one; it is shown every quote
        failures.report(account, state, error, view.now, out)
        return EVERY_QUOTE


def _ask(  # noqa: PLR0917
    account: AccountState, state: RuleState, level: int, contract_id: str | None, view: View, out: list[Decision]
) -> bool:
    """Ask a rule at which P&L it must see a quote; returns whether it was asked about all positions."""
    positions = account.positions
    looked_at: Iterable[Position]
    if contract_id is None or level != state.level:
        every, looked_at = True, positions.values()
    else:
        every, looked_at = False, (positions[contract_id],) if contract_id in positions else ()
    for position in looked_at:
        try:
            watch = state.rule.watch(account, position, view, level)
        except Exception as error:  # noqa: BLE001 - law 9: one broken rule stays one; it is shown every quote
            failures.report(account, state, error, view.now, out)
            watch = EVERY_QUOTE
        state.watched[position.contract_id] = watch
    return every


def _band(position: Position, quoting: Iterable[RuleState], shares: Shares | None, view: View) -> Band:
    """What all rules together must see of a position."""
    contract_id = position.contract_id
    contract = view.market.contracts.get(contract_id)
    if contract is None:
        return Band()  # when it is learned, all rules are judged
    share = None if shares is None else shares.watches.get(contract_id)
    loss_at, gain_at = (None, None) if share is None else (share.loss_at, share.gain_at)
    for state in quoting:
        watch = state.watched.get(contract_id)
        if watch is None:
            continue
        if watch.loss_at is not None and (loss_at is None or watch.loss_at > loss_at):
            loss_at = watch.loss_at
        if watch.gain_at is not None and (gain_at is None or watch.gain_at < gain_at):
            gain_at = watch.gain_at
    return band_of(position, contract, loss_at, gain_at)
