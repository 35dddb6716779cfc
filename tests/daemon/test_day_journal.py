"""Each trading day has a file of its own that begins with all that is known."""

from __future__ import annotations

from pathlib import Path

from daemon.core.decisions import DayChanged
from daemon.core.engine import Engine
from daemon.core.events import PositionRecord, PositionsSnapshot, PositionUpdate, Tick
from daemon.core.units import SECOND_US, to_micros
from daemon.day_journal import DayJournal
from daemon.journal import ConfigText, Journal, StartState, read_journal
from daemon.known_time import CLOCK_KEY
from daemon.snapshot import NO_RESET_BEFORE
from daemon.store.state import SavedState
from shared.config import HolidayCalendar, RiskConfig
from tests.core.desk import MNQ, OPEN

NOW = to_micros(OPEN)
DAY_US = 86_400 * SECOND_US


def test_new_trading_day_begins_a_file_with_what_is_known(tmp_path: Path) -> None:
    engine = Engine(RiskConfig(), HolidayCalendar())
    engine.restore(NOW)
    alerts: list[str] = []
    journal = Journal(tmp_path, version="1", on_alert=alerts.append)
    days = DayJournal(journal, engine, lambda: 77)
    days.begin(SavedState(daemon={CLOCK_KEY: 5, "alert_targets": ["private"]}))
    engine.handle(PositionsSnapshot(NOW, 101, NOW, (PositionRecord(MNQ, 2, 100, 1, NOW),)))
    # The same day: nothing begins anew.
    days.decided(DayChanged(NOW, 101, engine.days.name(NOW)))
    journal.append(Tick(NOW + 1))
    engine.handle(Tick(NOW + DAY_US))
    for account in (101, 102):
        days.decided(DayChanged(NOW + DAY_US, account, engine.days.name(NOW + DAY_US)))
    journal.append(PositionUpdate(NOW + DAY_US, 101, PositionRecord(MNQ, 0, 0)))
    assert journal.close() and alerts == []
    first, second = (list(read_journal(path)) for path in sorted(tmp_path.glob("*.jsonl.gz")))
    assert [type(entry) for entry in first] == [ConfigText, StartState, Tick]
    assert isinstance(first[1], StartState)
    assert first[1].state.daemon == {CLOCK_KEY: 5, NO_RESET_BEFORE: 77}, (
        "no more of the daemon's own than a replay needs"
    )
    assert [type(entry) for entry in second[:3]] == [ConfigText, StartState, PositionsSnapshot]
    assert isinstance(second[2], PositionsSnapshot) and second[2].positions[0].size == 2
    assert type(second[-1]) is PositionUpdate
