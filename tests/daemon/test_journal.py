"""The journal gives back every event as it was, also after a kill, a full disk and a restart on the same day."""

from __future__ import annotations

import dataclasses
import errno
import gzip
import random
import signal
import subprocess
import sys
import time
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.core import events
from daemon.core.events import (
    Contract,
    Event,
    OrderRecord,
    PositionRecord,
    PositionUpdate,
    Quote,
    Tick,
    TradeRecord,
)
from daemon.journal import ConfigText, Entry, Gap, Journal, JournalError, StartState, read_journal
from daemon.journal_codec import decode, encode
from daemon.store import SavedAccount, SavedPnl, SavedReset, SavedState
from shared.config import HolidayCalendar, RiskConfig
from tests.store.samples import MNQ, NOW, Alerts, action, contract, lockout, order, position, trade

DAY = "2026-11-21"
CONFIG = RiskConfig.model_validate(
    {
        "rules": {"daily_realized_loss": {"limit": "-500.10"}, "symbol_blocks": {"blocked_symbols": ["RTY"]}},
        "accounts": {101: {"rules": {"daily_realized_loss": {"limit": -250}}}},
    }
)
CALENDAR = HolidayCalendar.model_validate({"dates": {"2026-12-25": {"closed": True}}})
STATE = SavedState(
    lockouts=[lockout(1, baseline={MNQ: -2})],
    ended=[lockout(2, cleared_at=NOW, cleared_by="expiry", expires_at=None)],
    actions=[action(3, order_id=4)],
    attempts={3: 2},
    contracts=[contract()],
    accounts=[SavedAccount(101, "trader1", "Practice", True, -5)],
    trades={101: [trade(1), trade(2, pnl=None)]},
    positions={101: [position(-2)]},
    orders={101: [order()]},
    memories={101: {"peak": {"equity": 7, "days": ["a", None, True]}}},
    daily_pnl=[SavedPnl(101, DAY, -1, 2)],
    resets=[SavedReset(101, DAY, 1, None)],
    daemon={"clock": 5},
    last_lockout_id=2,
    last_action_id=3,
    salvaged_from="view.db",
    lockouts_unknown=True,
)


def journal(folder: Path, alerts: Alerts | None = None, **options: Any) -> Journal:
    return Journal(folder, version="1.2", on_alert=alerts if alerts is not None else Alerts(), **options)


def recorded(folder: Path, *events_: Event, day: str = DAY) -> Path:
    """Record these events on a day and close."""
    writing = journal(folder)
    writing.start(day, CONFIG, CALENDAR, STATE, NOW)
    for event in events_:
        writing.append(event)
    assert writing.close()
    return folder / f"{day}.jsonl.gz"


def events_of(path: Path) -> list[Entry]:
    return [entry for entry in read_journal(path) if not isinstance(entry, ConfigText | StartState)]


def ticks(count: int) -> list[Event]:
    return [Tick(NOW + number) for number in range(count)]


INTEGERS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "int": INTEGERS,
    "str": TEXTS,
    "bool": st.booleans(),
    "int | None": st.none() | INTEGERS,
    "str | None": st.none() | TEXTS,
    "tuple[int, ...]": st.lists(INTEGERS, max_size=3).map(tuple),
    "RiskConfig": st.just(CONFIG),
    "HolidayCalendar": st.just(CALENDAR),
}


def any_of(kind: type) -> st.SearchStrategy[Any]:
    return st.builds(kind, *(_FIELDS[str(field.type)] for field in dataclasses.fields(kind)))


for _record in (Contract, PositionRecord, OrderRecord, TradeRecord):
    _FIELDS[_record.__name__] = any_of(_record)
    _FIELDS[f"tuple[{_record.__name__}, ...]"] = st.lists(any_of(_record), max_size=3).map(tuple)

EVERY_EVENT = st.one_of([any_of(kind) for kind in typing.get_args(events.Event)])


@settings(max_examples=300)
@given(st.lists(EVERY_EVENT, max_size=4))
def test_events_of_every_kind_when_encoded_and_decoded_are_equal(batch: list[Event]) -> None:
    assert decode(encode(list(batch))) == batch


def test_journal_when_read_begins_with_all_that_a_replay_needs(tmp_path: Path) -> None:
    first, start, *rest = read_journal(recorded(tmp_path, Tick(NOW + 1)))
    assert isinstance(first, ConfigText)
    assert first.parsed() == (CONFIG, CALENDAR)
    assert start == StartState(NOW, DAY, "1.2", STATE)
    assert rest == [Tick(NOW + 1)]


def test_journal_when_many_events_keeps_their_order(tmp_path: Path) -> None:
    many = ticks(5_321)
    assert events_of(recorded(tmp_path, *many)) == many


def test_journal_when_looked_at_with_gzip_is_json_lines(tmp_path: Path) -> None:
    path = recorded(tmp_path, Quote(NOW, MNQ, 1, 2, 3))
    lines = gzip.decompress(path.read_bytes()).splitlines()
    assert orjson.loads(lines[-1])[-1] == ["Quote", NOW, MNQ, 1, 2, 3]


def test_journal_when_restarted_on_the_same_day_goes_on_in_the_file(tmp_path: Path) -> None:
    path = recorded(tmp_path, *ticks(3))
    assert recorded(tmp_path, *ticks(2)) == path
    kinds = [type(entry).__name__ for entry in read_journal(path)]
    assert kinds == ["ConfigText", "StartState", "Tick", "Tick", "Tick", "ConfigText", "StartState", "Tick", "Tick"]


def test_journal_when_the_day_changes_begins_a_new_file(tmp_path: Path) -> None:
    writing = journal(tmp_path)
    writing.start(DAY, CONFIG, CALENDAR, STATE, NOW)
    writing.append(Tick(1))
    writing.start("2026-11-22", CONFIG, CALENDAR, STATE, NOW + 1)
    writing.append(Tick(2))
    assert writing.close()
    assert events_of(tmp_path / f"{DAY}.jsonl.gz") == [Tick(1)]
    assert events_of(tmp_path / "2026-11-22.jsonl.gz") == [Tick(2)]


def test_journals_when_older_than_kept_are_deleted(tmp_path: Path) -> None:
    for name in ("2026-10-20.jsonl.gz", "2026-10-22.jsonl.gz", "notes.jsonl.gz", "2026-10-20.txt"):
        (tmp_path / name).write_bytes(b"")
    recorded(tmp_path, Tick(1))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "2026-10-20.txt",
        "2026-10-22.jsonl.gz",
        f"{DAY}.jsonl.gz",
        "notes.jsonl.gz",
    ]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_journal_when_cut_anywhere_gives_what_came_before_and_can_be_continued(data: st.DataObject) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        path = recorded(folder, Tick(1))
        first = path.stat().st_size
        recorded(folder, *ticks(50))
        content = path.read_bytes()
        path.write_bytes(content[: data.draw(st.integers(first, len(content)))])
        found = events_of(path)
        assert found in ([Tick(1)], [Tick(1), *ticks(50)])
        recorded(folder, Tick(7))
        assert events_of(path) == [*found, Tick(7)]


@given(st.integers(0, 10_000), st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_journal_when_a_byte_is_wrong_is_never_read_as_something_else(position_: int, change: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        path = recorded(Path(scratch), *ticks(30))
        recorded(Path(scratch), *ticks(5))
        content = bytearray(path.read_bytes())
        content[position_ % len(content)] ^= change
        path.write_bytes(content)
        whole = [*ticks(30), *ticks(5)]
        try:
            found = events_of(path)
        except JournalError:
            return
        assert found == whole[: len(found)]


@pytest.mark.parametrize("content", [b"", b"not a journal, but long enough to be one"])
def test_journal_when_it_is_none_says_so_or_is_empty(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    if content:
        with pytest.raises(JournalError, match="no journal"):
            list(read_journal(path))
    else:
        assert list(read_journal(path)) == []
    with pytest.raises(JournalError, match="cannot be read"):
        list(read_journal(tmp_path / "nowhere"))


def test_journal_when_a_newer_version_wrote_it_says_so() -> None:
    with pytest.raises(JournalError, match="'Hologram', which this version does not know"):
        decode(b'[["Hologram",1]]')


def test_event_when_it_cannot_be_encoded_leaves_a_gap_and_nothing_else(tmp_path: Path) -> None:
    bad = PositionUpdate(NOW, 101, typing.cast(PositionRecord, None))
    worse = Tick(typing.cast(int, object()))
    assert events_of(recorded(tmp_path, Tick(1), bad, worse, Tick(2))) == [Tick(1), Gap(1), Gap(1), Tick(2)]


class FullDisk:
    """A file that takes a part of what is written, then no more, until it is freed."""

    full = False

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, content: bytes) -> int:
        if FullDisk.full:
            self._file.write(content[:7])
            if len(content) % 2:
                raise OSError(errno.ENOSPC, "No space left on device")
            return 7
        return int(self._file.write(content))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def eventually(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.01)


def test_journal_when_the_disk_is_full_loses_nothing_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import daemon.journal as module

    original = module._open_for_append

    def opened(path: Path) -> tuple[Any, int]:
        file, end = original(path)
        return FullDisk(file), end

    monkeypatch.setattr(module, "_open_for_append", opened)
    monkeypatch.setattr(module, "_FLUSH_SECONDS", 0.02)
    alerts = Alerts()
    writing = journal(tmp_path, alerts)
    writing.start(DAY, CONFIG, CALENDAR, STATE, NOW)
    FullDisk.full = False
    writing.append(Tick(0))
    path = tmp_path / f"{DAY}.jsonl.gz"
    eventually(lambda: path.exists() and events_of(path) == [Tick(0)])
    FullDisk.full = True
    for number in (1, 2, 3):
        writing.append(Tick(number))
        time.sleep(0.03)
    eventually(lambda: len(alerts) == 1)
    assert "cannot be recorded" in alerts[0]
    assert events_of(path) == [Tick(0)], "what was half-written is taken back"
    FullDisk.full = False
    writing.append(Tick(4))
    eventually(lambda: len(alerts) == 2)
    assert writing.close()
    assert events_of(path) == [Tick(number) for number in range(5)]


def test_journal_when_the_disk_stays_full_drops_the_oldest_and_marks_the_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import daemon.journal as module

    monkeypatch.setattr(module, "_FLUSH_SECONDS", 0.01)
    monkeypatch.setattr(module, "_MOST_PACKED_BYTES", 100_000)
    (tmp_path / "journal").write_text("in the way")
    alerts = Alerts()
    writing = journal(tmp_path / "journal", alerts)
    writing.start(DAY, CONFIG, CALENDAR, STATE, NOW)
    chance = random.Random(1)
    sent: list[Event] = [Quote(NOW, MNQ, chance.getrandbits(60), chance.getrandbits(60), 0) for _ in range(5_000)]
    for event in sent:
        writing.append(event)
    eventually(lambda: writing._lost > 0)
    (tmp_path / "journal").unlink()
    eventually(lambda: len(alerts) == 2)
    writing.append(Tick(1))
    assert writing.close()
    found = events_of(tmp_path / "journal" / f"{DAY}.jsonl.gz")
    gaps = [entry for entry in found if isinstance(entry, Gap)]
    kept = [entry for entry in found if isinstance(entry, Quote)]
    assert kept == sent[len(sent) - len(kept) :]
    assert sum(gap.lost for gap in gaps) == len(sent) - len(kept) + 2, "the configuration and the state were lost too"
    assert found[-1] == Tick(1)


WRITER = """
import sys, time
from pathlib import Path
from tests.daemon.test_journal import CALENDAR, CONFIG, DAY, NOW, STATE, Tick
import daemon.journal
daemon.journal._FLUSH_SECONDS = 0.05
journal = daemon.journal.Journal(Path(sys.argv[1]), version="1", on_alert=print)
journal.start(DAY, CONFIG, CALENDAR, STATE, NOW)
number = 0
while True:
    for _ in range(500):
        journal.append(Tick(number))
        number += 1
    print(number, flush=True)
    time.sleep(0.001)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_journal_when_killed_is_whole_but_for_the_last_moment(tmp_path: Path) -> None:
    path = tmp_path / f"{DAY}.jsonl.gz"
    output = tmp_path / "output"
    with output.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=out, stderr=out, cwd=Path.cwd()
        )
    try:
        eventually(lambda: path.exists() and path.stat().st_size > 5_000, 30)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    found = events_of(path)
    assert len(found) > 500
    assert found == [Tick(number) for number in range(len(found))]
    recorded(tmp_path, Tick(-1))
    assert events_of(path) == [*found, Tick(-1)]
    assert path.stat().st_mode & 0o077 == 0
