"""The accounts of one login: which are monitored, what lists and pushes tell of them, and whether pushes are whole."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection

from daemon.clock import Clock
from daemon.core.events import AccountListed, AccountUpdate, Event, OrderUpdate, PositionUpdate, TradeUpdate
from daemon.core.units import SECOND_US
from daemon.gateway.account import MonitoredAccount
from daemon.gateway.parsing import AccountRecord
from daemon.gateway.timings import Timings
from shared.models import OrderStatus

_log = logging.getLogger(__name__)


class Roster:
    """Accounts of one login.

    Args:
        username: the login.
        wanted: ids to be monitored; None for all.
        clock: trusted time.
        deliver: takes AccountListed and AccountUpdate events.
        on_alert: called with a sentence.
        claim: asked whether this login may have an account; another may have it already.
        on_stranger: called when a push names an account that should be monitored and is not.
        on_gap: called with an account whose pushes were not whole.
        on_priceless: called with an account of which a position was pushed without an entry price.
        on_balance: called with the id of an account whose listed balance is not the one last pushed or listed.
        timings: bounds.
    """

    def __init__(
        self,
        username: str,
        wanted: Collection[int] | None,
        *,
        clock: Clock,
        deliver: Callable[[Event], None],
        on_alert: Callable[[str], None],
        claim: Callable[[int], bool],
        on_stranger: Callable[[], None],
        on_gap: Callable[[MonitoredAccount], None],
        on_priceless: Callable[[MonitoredAccount], None],
        on_balance: Callable[[int], None],
        timings: Timings,
    ) -> None:
        self._username = username
        self._wanted = None if wanted is None else frozenset(wanted)
        self._clock = clock
        self._deliver = deliver
        self._on_alert = on_alert
        self._claim = claim
        self._on_stranger = on_stranger
        self._on_gap = on_gap
        self._on_priceless = on_priceless
        self._on_balance = on_balance
        self._timings = timings
        self.monitored: dict[int, MonitoredAccount] = {}
        self.elsewhere = False
        """Whether accounts of the last list are monitored through another login."""

    def take_list(self, records: Collection[AccountRecord], started_at: int) -> list[MonitoredAccount]:
        """Take in an account list, read from `started_at` on; returns the accounts that are new.

        A list without any account is not believed: none is taken to have gone, nothing is delivered.
        """
        mine = {record.account_id: record for record in records if self._wants(record.account_id)}
        if not mine:
            if self.monitored:
                self._on_alert(f"The gateway lists no account of {self._username} any more; all stay monitored.")
            return []
        missing = sorted((self._wanted or frozenset()) - mine.keys() - self.monitored.keys())
        if missing:
            self._on_alert(f"{self._username} has no account {missing[0]}; correct `accounts` in accounts.yaml.")
        fresh = [key for key in mine if key not in self.monitored and self._claim(key)]
        self.elsewhere = len(fresh) < len(mine.keys() - self.monitored.keys())
        for key in fresh:
            record = mine[key]
            self.monitored[key] = MonitoredAccount(key, record.name, record.can_trade is not False, record.balance)
        for account in self.monitored.values():
            account.listed = account.account_id in mine  # the engine tells of one that is not
        listed = tuple(key for key in mine if key in self.monitored)
        if listed:
            self._deliver(AccountListed(self._clock.now(), self._username, listed))
        for key in listed:
            account = self.monitored[key]
            # What was pushed while the list was being read is newer than the list.
            if account.pushed_at < started_at:
                if mine[key].balance is not None and mine[key].balance != account.balance:
                    self._on_balance(key)
                self._told(account, mine[key], announce=key in fresh)
        return [self.monitored[key] for key in fresh]

    def account_pushed(self, record: AccountRecord) -> None:
        """An account was pushed."""
        account = self.monitored.get(record.account_id)
        if account is None:
            if self._wants(record.account_id):
                self._on_stranger()
            return
        account.pushed_at = account.last_event_at = self._clock.now()
        self._told(account, record)

    def pushed(self, event: PositionUpdate | OrderUpdate | TradeUpdate) -> bool:
        """A position, order or trade was pushed; returns whether its account is monitored."""
        account = self.monitored.get(event.account_id)
        if account is None:
            if self._wants(event.account_id):
                self._on_stranger()
            return False
        account.last_event_at = event.at
        if isinstance(event, PositionUpdate):
            contract_id = event.position.contract_id
            before = account.mirror.positions.get(contract_id)
            account.mirror.push_position(event.position, event.at)
            account.fills.push_position(contract_id, event.at)
            if event.position.size != (before.size if before else 0):
                self._watch_fill(account, contract_id, event.at)
            if event.position.size and event.position.average_price <= 0:
                self._on_priceless(account)
        elif isinstance(event, OrderUpdate):
            account.mirror.push_order(event.order, event.at)
            if account.fills.push_order(event.order, event.at) or event.order.status == OrderStatus.FILLED:
                self._watch_fill(account, event.order.contract_id, event.at)
        elif not event.trade.voided:
            account.fills.push_trade(event.trade, event.at)
            self._watch_fill(account, event.trade.contract_id, event.at)
        return True

    def lost(self, account_id: int | None) -> None:
        """A push had to be dropped: of that account, or it is not known of which."""
        for account in self.monitored.values():
            if account_id is None or account.account_id == account_id:
                self._on_gap(account)

    def _wants(self, account_id: int) -> bool:
        return self._wanted is None or account_id in self._wanted

    def _told(self, account: MonitoredAccount, record: AccountRecord, *, announce: bool = False) -> None:
        can_trade = account.can_trade if record.can_trade is None else record.can_trade
        name = record.name or account.name
        balance = account.balance if record.balance is None else record.balance
        if announce or (can_trade, name, balance) != (account.can_trade, account.name, account.balance):
            account.can_trade, account.name, account.balance = can_trade, name, balance
            self._deliver(
                AccountUpdate(self._clock.now(), account.account_id, self._username, name, can_trade, record.balance)
            )

    def _watch_fill(self, account: MonitoredAccount, contract_id: str, at: int) -> None:
        """A push told of a fill: see that its trade and its position are pushed too, else have the account read."""
        if contract_id in account.watched:
            return
        account.watched.add(contract_id)
        allowed = self._timings.announce

        def judge() -> None:
            account.watched.discard(contract_id)
            whole = account.fills.complete(contract_id, at - round(allowed * SECOND_US))
            short = account.fills.short(contract_id)
            # Where the position is pushed before its trade it is so by milliseconds.
            unmoved = account.fills.unmoved(contract_id, round(allowed * SECOND_US / 6))
            if unmoved is not None:
                short.append(unmoved)
            ripe = self._clock.now() - round(allowed * SECOND_US * 0.9)
            if whole and short and min(short) > ripe:
                # Filled while the one before it was watched: its trade or position may still be on its way.
                self._watch_fill(account, contract_id, min(short))
                return
            if (short or not whole) and account.reconciled:
                account.fills.ask(contract_id)
                _log.warning("A fill in %s of account %s was not pushed whole", contract_id, account.account_id)
                self._on_gap(account)

        asyncio.get_running_loop().call_later(allowed, judge)
