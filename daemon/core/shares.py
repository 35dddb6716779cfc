"""Limits on the unrealized P&L of all positions together, shared out: each position gets a part of the room.

As long as every position stays inside its own share, the sum stays inside the room, whatever they do; so a quote needs
to be looked at only when it leaves the share of its own contract. Shares outlive events: they are dealt anew only when
one is left, a position comes, or the room no longer holds them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from daemon.core.rule import EVERY_QUOTE, RuleState, View, Watch
from daemon.core.state import AccountState

_DEALT, _OF = 7, 8
"""The part of the room that is dealt: what is kept back lets realized P&L move without dealing anew."""


@dataclass(slots=True)
class Shares:
    """By contract id the P&L (micro-dollars) strictly between which a position may move.

    `open`: there was no room, or a price is missing; every quote of some position is looked at. `lowest`, `highest`:
    the sums of all P&L at the ends; None: no end.
    """

    watches: dict[str, Watch] = field(default_factory=dict)
    open: bool = True
    lowest: int | None = None
    highest: int | None = None


def spread(
    known: Shares | None, account: AccountState, quoting: Iterable[RuleState], contract_id: str | None, view: View
) -> tuple[Shares, bool]:
    """The shares of an account's positions now; returns also whether they were dealt anew.

    `contract_id`: the only contract whose position or price can have left its share since they were last looked at.
    """
    room = Watch()
    for state in quoting:
        loss_at, gain_at = state.total.loss_at, state.total.gain_at
        if loss_at is not None and (room.loss_at is None or loss_at > room.loss_at):
            room.loss_at = loss_at
        if gain_at is not None and (room.gain_at is None or gain_at < room.gain_at):
            room.gain_at = gain_at
    if known is not None and contract_id is not None and _still_hold(known, account, contract_id, room, view):
        return known, False
    return _deal(account, room, view), True


def _still_hold(known: Shares, account: AccountState, contract_id: str, room: Watch, view: View) -> bool:
    """Whether known shares lie within the room and every position within its share."""
    watches, positions = known.watches, account.positions
    if known.open or watches.keys() != positions.keys():
        return False
    if room.loss_at is not None and (known.lowest is None or known.lowest < room.loss_at):
        return False
    if room.gain_at is not None and (known.highest is None or known.highest > room.gain_at):
        return False
    if contract_id not in positions:
        return True
    pnl = view.open_pnl(account).get(contract_id)
    if pnl is None:
        return False
    amount, scale = pnl
    watch = watches[contract_id]
    return not (
        (watch.loss_at is not None and amount <= watch.loss_at * scale)
        or (watch.gain_at is not None and amount >= watch.gain_at * scale)
    )


def _deal(account: AccountState, room: Watch, view: View) -> Shares:
    """Equal parts of the room. A position without a price counts as 0; its first quote is looked at."""
    open_pnl = {contract_id: amount // scale for contract_id, (amount, scale) in view.open_pnl(account).items()}
    total, count = sum(open_pnl.values()), max(1, len(open_pnl))
    down = None if room.loss_at is None else (total - room.loss_at) * _DEALT // (_OF * count)
    up = None if room.gain_at is None else (room.gain_at - total) * _DEALT // (_OF * count)
    full = (down is not None and down <= 0) or (up is not None and up <= 0)
    shares = Shares(
        open=full or len(open_pnl) < len(account.positions),
        lowest=None if down is None else total - down * len(open_pnl),
        highest=None if up is None else total + up * len(open_pnl),
    )
    for contract_id in account.positions:
        pnl = open_pnl.get(contract_id)
        if full or pnl is None:
            shares.watches[contract_id] = EVERY_QUOTE
        else:
            shares.watches[contract_id] = Watch(None if down is None else pnl - down, None if up is None else pnl + up)
    return shares
