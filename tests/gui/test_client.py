"""The connection: what is asked, what happens when it breaks, how commands fail. A fake daemon, real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gui.app_state import AppState, Link, Notice
from gui.client import DaemonClient
from gui.commands import CommandError
from gui.state_reader import StateReader
from shared.paths import Home
from tests.gui import sample
from tests.gui.fake_daemon import FakeDaemon, fake_daemon
from tests.gui.live import eventually
from tests.gui.sample import APEX, HandClock


@asynccontextmanager
async def connected(home: Home, state: AppState, poll: float = 0.05) -> AsyncIterator[DaemonClient]:
    client = DaemonClient(home, state, StateReader(home), poll_seconds=poll)
    client.start()
    try:
        yield client
    finally:
        await client.close()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def fresh(hand: HandClock) -> AppState:
    return AppState(hand)


@pytest.fixture
async def daemon(home: Home) -> AsyncIterator[FakeDaemon]:
    async with fake_daemon(home) as made:
        yield made


async def test_client_when_daemon_is_there_fills_the_state(home: Home, fresh: AppState, daemon: FakeDaemon) -> None:
    async with connected(home, fresh) as client:
        await eventually(lambda: fresh.link is Link.ONLINE and fresh.accounts_known, what="online")
        await client.watch(APEX)
        view = fresh.accounts[APEX]
        assert view.pnl.realized == Decimal("-318.26")
        assert len(view.trades or {}) == 18
        assert len(view.curve) > 100
        assert view.desk[0].clock_in is not None
        await eventually(lambda: len(view.enforcement) == 6, what="the log")


async def test_client_when_event_comes_applies_it(home: Home, fresh: AppState, daemon: FakeDaemon) -> None:
    async with connected(home, fresh):
        await eventually(lambda: fresh.link is Link.ONLINE)
        daemon.event("pnl", APEX, sample.pnl("-99.00", "1.00", 3))
        await eventually(lambda: fresh.accounts[APEX].pnl.realized == Decimal(-99), what="the event")


async def test_client_when_an_account_is_not_read_yet_goes_on_with_the_rest(
    home: Home, fresh: AppState, daemon: FakeDaemon
) -> None:
    daemon.codes["get_trades"] = -32004
    daemon.answers["get_trades"] = ValueError("not read yet")
    async with connected(home, fresh) as client:
        await eventually(lambda: fresh.link is Link.ONLINE)
        await client.watch(APEX)
        view = fresh.accounts[APEX]
        assert len(view.curve) > 100 and view.desk, "the other answers were taken"
        assert fresh.link is Link.ONLINE


async def test_client_when_only_quotes_move_asks_for_the_rules_of_the_account_shown(
    home: Home, fresh: AppState, daemon: FakeDaemon
) -> None:
    async with connected(home, fresh) as client:
        await eventually(lambda: fresh.link is Link.ONLINE)
        await client.watch(APEX)
        daemon.answers["get_rules"] = [sample.rule("RULE-004", "daily_unrealized_loss", "Loss", value="-290.00")]
        await eventually(lambda: (fresh.accounts[APEX].rules or [])[0].value == "-290.00", what="the value of now")
        daemon.answers["get_rules"] = None
        asked = len(daemon.calls)
        await eventually(lambda: len(daemon.calls) > asked + 6, what="more questions")
        assert fresh.accounts[APEX].rules, "no answer is no empty list"


async def test_client_when_trades_and_their_count_differ_asks_for_them_again(
    home: Home, fresh: AppState, daemon: FakeDaemon
) -> None:
    async with connected(home, fresh) as client:
        await eventually(lambda: fresh.link is Link.ONLINE)
        await client.watch(APEX)
        daemon.answers["get_trades"] = sample.trades()[:-2]
        daemon.event("pnl", APEX, sample.pnl("-99.00", "1.00", 16))
        await eventually(lambda: len(fresh.accounts[APEX].trades or {}) == 16, what="the trades that are left")


async def test_client_when_the_day_has_many_trades_asks_page_by_page(
    home: Home, fresh: AppState, daemon: FakeDaemon
) -> None:
    trades = sample.trades()
    newest = sorted(trades, key=lambda row: int(row["id"]), reverse=True)

    def page(params: dict[str, Any]) -> dict[str, Any]:
        before = params.get("before_id")
        left = [row for row in newest if before is None or row["id"] < before]
        return {"rows": left[:5], "more": len(left) > 5}

    daemon.answers["get_trades"] = page
    async with connected(home, fresh) as client:
        await eventually(lambda: fresh.link is Link.ONLINE)
        await client.watch(APEX)
        assert set(fresh.accounts[APEX].trades or {}) == {row["id"] for row in trades}
        asked = [params.get("before_id") for method, params in daemon.calls if method == "get_trades"]
        assert asked[:4] == [None, *(newest[at]["id"] for at in (4, 9, 14))]


async def test_client_when_trades_could_not_be_had_asks_again(home: Home, fresh: AppState, daemon: FakeDaemon) -> None:
    daemon.snapshot["trades"] = {}  # left out: they did not fit
    daemon.codes["get_trades"] = -32602
    daemon.answers["get_trades"] = ValueError("the day has just ended")
    async with connected(home, fresh) as client:
        await eventually(lambda: fresh.link is Link.ONLINE)
        await client.watch(APEX)
        assert fresh.accounts[APEX].trades is None and len(fresh.accounts[APEX].curve) > 100
        daemon.answers["get_trades"] = sample.trades()
        await eventually(lambda: len(fresh.accounts[APEX].trades or {}) == 18, what="the trades")


async def test_client_when_a_list_did_not_fit_takes_what_came(home: Home, fresh: AppState, daemon: FakeDaemon) -> None:
    for method in ("get_lockout_history", "get_enforcement_log"):
        daemon.answers[method] = {"rows": daemon.answers[method], "more": True}
    async with connected(home, fresh) as client:
        await eventually(lambda: fresh.link is Link.ONLINE)
        assert [lock.lockout_id for lock in await client.lockout_history(None)] == [3]
        assert await client.older_entries(None, 100) == 6


async def test_client_when_its_own_code_fails_goes_on_asking(
    home: Home, fresh: AppState, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context["exception"]))
    async with connected(home, fresh) as client:
        await eventually(lambda: fresh.link is Link.ONLINE)
        await client.watch(APEX)
        good = fresh.set_desk
        monkeypatch.setattr(fresh, "set_desk", lambda account_id, rows: 1 / 0)
        await eventually(lambda: len(failures) >= 2, what="two failures, so it went on after the first")
        monkeypatch.setattr(fresh, "set_desk", good)
        asked = len(daemon.calls)
        await eventually(lambda: len(daemon.calls) > asked + 2, what="more questions")
    assert all(isinstance(failure, ZeroDivisionError) for failure in failures)


async def test_client_when_a_gap_is_noticed_asks_for_a_snapshot(
    home: Home, fresh: AppState, daemon: FakeDaemon
) -> None:
    async with connected(home, fresh):
        await eventually(lambda: fresh.link is Link.ONLINE)
        daemon.snapshot["pnl"][APEX] = sample.pnl("-77.00", "0.00", 3)
        daemon.event("pnl", APEX, sample.pnl("-1.00", "1.00", 3), skip=2)
        await eventually(lambda: fresh.accounts[APEX].pnl.realized == Decimal(-77), what="the fresh snapshot")


async def test_client_when_connection_breaks_says_so_and_comes_back(
    home: Home, fresh: AppState, daemon: FakeDaemon
) -> None:
    links: list[Link] = []
    fresh.listen(lambda change: links.append(fresh.link) if change.topic == "link" else None)
    async with connected(home, fresh):
        await eventually(lambda: fresh.link is Link.ONLINE)
        heard: list[Notice] = []
        fresh.listen_notices(heard.append)
        daemon.snapshot["lockouts"][APEX] = [sample.lockout(4)]
        daemon.cut()
        await eventually(lambda: Link.OFFLINE in links, what="offline")
        await eventually(lambda: fresh.link is Link.ONLINE, what="online again")
        assert [notice.kind for notice in heard] == ["lockout"]


async def test_client_when_daemon_hangs_says_so(
    home: Home, fresh: AppState, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(home, fresh) as client:
        await eventually(lambda: fresh.link is Link.ONLINE)
        answer = client.rpc.call

        async def impatient(method: str, params: object = None, timeout: float | None = None) -> object:
            return await answer(method, params, 0.1)  # type: ignore[arg-type]

        monkeypatch.setattr(client.rpc, "call", impatient)
        daemon.silent = True
        await eventually(lambda: fresh.link is Link.OFFLINE, what="not answering")
        assert "does not answer" in fresh.link_detail
        daemon.silent = False
        daemon.cut()
        await eventually(lambda: fresh.link is Link.ONLINE, what="answering again")


async def test_client_when_there_is_no_daemon_says_what_to_do(home: Home, fresh: AppState) -> None:
    home.create()
    async with connected(home, fresh):
        await eventually(lambda: fresh.link is Link.OFFLINE, what="offline")
        assert "riskd run" in fresh.link_detail


async def test_lock_when_confirmed_sends_minutes_or_an_end_in_utc(
    home: Home, fresh: AppState, daemon: FakeDaemon
) -> None:
    async with connected(home, fresh) as client:
        await eventually(lambda: fresh.link is Link.ONLINE)
        await client.lock_account(APEX, minutes=15)
        await client.lock_account(APEX, until=sample.RESET, reason="enough")
    sent = [params for method, params in daemon.calls if method == "lock_account"]
    assert sent == [
        {"account_id": APEX, "minutes": 15, "reason": "Locked by the trader."},
        {"account_id": APEX, "until": "2026-11-20T22:00:00.000000Z", "reason": "enough"},
    ]


async def test_lock_when_refused_says_the_daemons_reason(home: Home, fresh: AppState, daemon: FakeDaemon) -> None:
    daemon.answers["lock_account"] = ValueError("the time lies in the past.")
    async with connected(home, fresh) as client:
        await eventually(lambda: fresh.link is Link.ONLINE)
        with pytest.raises(CommandError, match="The account was not locked: the time lies in the past"):
            await client.lock_account(APEX, until=sample.NOW - timedelta(days=1))


async def test_lock_when_answer_is_lost_does_not_claim_either(home: Home, fresh: AppState, daemon: FakeDaemon) -> None:
    async with connected(home, fresh, poll=5) as client:
        await eventually(lambda: fresh.link is Link.ONLINE)
        await daemon.stop()
        await eventually(lambda: fresh.link is Link.OFFLINE)
        with pytest.raises(CommandError, match="not known whether"):
            await client.lock_account(APEX, minutes=15)


async def test_history_when_online_comes_from_the_daemon(home: Home, fresh: AppState, daemon: FakeDaemon) -> None:
    async with connected(home, fresh) as client:
        await eventually(lambda: fresh.link is Link.ONLINE)
        assert [lock.lockout_id for lock in await client.lockout_history(None)] == [3]
        assert await client.older_entries(None, 41) == 6


async def test_history_when_there_is_nothing_is_empty(home: Home, fresh: AppState) -> None:
    home.create()
    client = DaemonClient(home, fresh, StateReader(home))
    assert await client.lockout_history(None) == []
    assert await client.older_entries(None, None) == 0
    await client.close()
