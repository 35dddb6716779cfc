"""Which quotes must be judged and for whom: the rules' watches as price bands, and quotes that have stopped coming."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.core import failures
from daemon.core.bands import Band, Bands
from daemon.core.decisions import Decision, Warn
from daemon.core.rule import EVERY_QUOTE, RuleState, View, next_level
from daemon.core.state import AccountState, Position
from daemon.core.units import SECOND_US

STALE_QUOTE_US = 10 * SECOND_US


class QuoteWatch:
    """The bands of all positions; see `daemon.core.bands`. `stale`: held contracts without a quote for 10 s."""

    __slots__ = ("bands", "stale")

    def __init__(self) -> None:
        self.bands = Bands()
        self.stale: set[str] = set()

    def set(self, account: AccountState, quoting: Sequence[RuleState], view: View, out: list[Decision]) -> None:
        """Find the bands of all positions of an account anew."""
        self.bands.set(
            account.account_id,
            {
                contract_id: _band(account, position, quoting, view, out)
                for contract_id, position in account.positions.items()
            },
        )

    def put(
        self,
        account: AccountState,
        position: Position,
        quoting: Sequence[RuleState],
        view: View,
        out: list[Decision],
    ) -> None:
        """Find the band of one position anew."""
        self.bands.put(account.account_id, position.contract_id, _band(account, position, quoting, view, out))

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


def _band(
    account: AccountState, position: Position, quoting: Sequence[RuleState], view: View, out: list[Decision]
) -> Band:
    band = Band()
    contract = view.market.contracts.get(position.contract_id)
    if contract is None:
        return band
    for state in quoting:
        try:
            watch = state.rule.watch(account, position, view, next_level(state.warned))
        except Exception as error:  # noqa: BLE001 - law 9: one broken rule stays one; it is shown every quote
            failures.report(account, state, error, view.now, out)
            watch = EVERY_QUOTE
        if watch.loss_at is not None or watch.gain_at is not None:
            band.take_in(position, contract, watch)
    return band
