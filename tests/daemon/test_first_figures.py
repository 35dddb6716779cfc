"""What a subscription begins with fits into a line, however busy the accounts are."""

from __future__ import annotations

import orjson

from daemon.core.state import AccountState
from daemon.day_figures import SNAPSHOT_TRADES, DayFigures
from daemon.first_figures import first_figures
from daemon.ipc_sessions import give_way
from shared.protocol import MAX_LINE, encode
from shared.rpc_methods import PUBLIC_TOPICS
from tests.core.desk import MNQ, Desk


async def begin(desk: Desk, *topics: str) -> bytes:
    days = DayFigures()
    makers = {"trades": lambda account: days.latest_trades(desk.engine, account), "accounts": _nothing}
    whole = {"status": lambda: {"status": "healthy"}, "config": lambda: {"pending": []}}
    return encode(await first_figures(desk.engine, topics, whole, makers, give_way))


def _nothing(account: AccountState) -> object:
    return {"account_id": account.account_id}


async def test_topics_are_told_in_the_order_asked_for_and_others_left_out() -> None:
    desk = Desk(accounts=(101, 102))
    desk.trade(MNQ, 1, pnl="-5")
    told = orjson.loads(await begin(desk, "trades", "status", "quotes", "pnl", "log", "rules"))
    assert list(told) == ["trades", "status", "pnl", "rules"]
    assert len(told["trades"]["101"]) == 1 and told["status"] == {"status": "healthy"}
    assert set(told["rules"]) == {"101", "102"}


async def test_trades_of_many_busy_accounts_are_told_as_far_as_they_fit() -> None:
    accounts = tuple(range(101, 131))
    desk = Desk(accounts=accounts)
    for account in accounts:
        for _ in range(SNAPSHOT_TRADES):
            desk.trade(MNQ, 1, pnl="-5", account=account)
    line = await begin(desk, *PUBLIC_TOPICS)
    assert 800_000 < len(line) < MAX_LINE - 4096
    told = orjson.loads(line)
    assert {len(rows) for rows in told["trades"].values()} == {SNAPSHOT_TRADES}
    assert 0 < len(told["trades"]) < len(accounts)
    assert len(told["rules"]) == len(told["pnl"]) == len(accounts), "nothing else is left out"
