"""Execution of steps, the lockout check before an uninstallation, and the command line away from Windows."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path, PureWindowsPath

import pytest

from daemon.windows import service
from daemon.windows.active_lockouts import ActiveLockout, UnreadableDatabaseError, active_lockouts
from daemon.windows.execution import Executor, StepError, decoded, run, swap_back, swap_program
from daemon.windows.steps import Action, Command, Program, StartService, Step, StopService

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
PROGRAM = Program(PureWindowsPath("riskd.exe"), "run", PureWindowsPath("."), None)


def python(code: str) -> Command:
    return Command((sys.executable, "-c", code))


class Report:
    """An executor whose service is a list of what was asked of it."""

    def __init__(self, start_error: Exception | None = None) -> None:
        self.lines: list[str] = []
        self.calls: list[str] = []
        self.start_error = start_error
        self.executor = Executor(self.lines.append, self.start, self.stop)

    def start(self, program: Program) -> str:
        self.calls.append("start")
        if self.start_error:
            raise self.start_error
        return "healthy on port 5555"

    def stop(self) -> str:
        self.calls.append("stop")
        return ""

    def tags(self) -> list[str]:
        return [line.partition("]")[0].strip("[") for line in self.lines]


def step(title: str, *actions: Action, undo: tuple[Action, ...] = (), required: bool = True) -> Step:
    return Step(title, "a reason", actions, undo, required)


def test_executor_when_all_goes_well_reports_each_step() -> None:
    report = Report()
    assert report.executor.carry_out([step("one", python("pass")), step("two", StartService(PROGRAM))])

    assert report.tags() == ["done", "done"]
    assert report.lines[1] == "[done]     two: healthy on port 5555"


def test_executor_when_a_required_step_fails_says_why_and_undoes_in_reverse(tmp_path: Path) -> None:
    report = Report()
    note = f"open({str(tmp_path / 'order')!r}, 'a').write"
    ok = report.executor.carry_out(
        [
            step("one", python("pass"), undo=(python(f"{note}('1')"),)),
            step("two", python("pass"), undo=(python(f"{note}('2')"),)),
            step("three", python("import sys; print('refused by policy'); sys.exit(5)"), undo=(StopService(),)),
            step("four", python(f"{note}('never')")),
        ]
    )

    assert not ok
    assert (tmp_path / "order").read_text() == "21"
    assert report.calls == ["stop"], "a step that failed half-way is undone too"
    assert report.tags() == ["done", "done", "failed", "undone", "undone", "undone"]
    assert "ended with 5: refused by policy" in report.lines[2]


def test_executor_when_an_optional_step_fails_warns_and_goes_on() -> None:
    report = Report()
    assert report.executor.carry_out([step("one", python("raise SystemExit(1)"), required=False), step("two")])

    assert report.tags() == ["warning", "done"]


def test_executor_when_an_undo_fails_still_undoes_the_rest() -> None:
    report = Report()
    first = step("one", undo=(StopService(),))
    second = step("two", undo=(python("raise SystemExit(1)"),))
    assert not report.executor.carry_out([first, second, step("three", python("raise SystemExit(1)"))])

    assert report.calls == ["stop"]


def test_executor_when_a_tool_fails_silently_notices_the_missing_file(tmp_path: Path) -> None:
    report = Report()
    missing = PureWindowsPath(tmp_path / "shortcut.lnk")
    command = Command((sys.executable, "-c", "pass"), creates=missing)
    assert not report.executor.carry_out([step("one", command)])

    assert "was not made" in report.lines[0]


def test_run_when_the_program_hangs_or_is_missing_says_so() -> None:
    with pytest.raises(StepError, match=r"did not end within 0.5 s"):
        run([sys.executable, "-c", "import time; time.sleep(60)"], timeout_s=0.5)
    with pytest.raises(StepError, match="could not be run"):
        run(["no-such-program-of-risk-manager"])


def test_output_when_nssm_writes_utf16_or_others_bytes_is_read() -> None:
    assert decoded("SERVICE_STOPPED\r\n".encode("utf-16-le")) == "SERVICE_STOPPED"
    assert decoded(b"Zugriff verweigert\r\n") == "Zugriff verweigert"


def folder_with(path: Path, content: str) -> Path:
    path.mkdir()
    (path / "riskd.exe").write_text(content)
    return path


def test_swap_when_upgrading_replaces_the_program_and_can_go_back(tmp_path: Path) -> None:
    source, target = folder_with(tmp_path / "new version", "new"), folder_with(tmp_path / "Risk Manager", "old")
    swap_program(source, target)
    assert (target / "riskd.exe").read_text() == "new"
    swap_back(target)

    assert (target / "riskd.exe").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Risk Manager", "new version"]


def test_swap_when_fresh_goes_back_to_nothing(tmp_path: Path) -> None:
    source, target = folder_with(tmp_path / "unpacked", "new"), tmp_path / "Programs" / "Risk Manager"
    swap_program(source, target)
    swap_back(target)

    assert list((tmp_path / "Programs").iterdir()) == []


def test_swap_when_the_copy_fails_leaves_the_old_program(tmp_path: Path) -> None:
    target = folder_with(tmp_path / "Risk Manager", "old")
    with pytest.raises(OSError, match="missing"):
        swap_program(tmp_path / "missing", target)

    assert (target / "riskd.exe").read_text() == "old"


def database(path: Path, *rows: tuple[int, str, object, object], wal: bool = True) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        if wal:
            connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(
            "CREATE TABLE lockouts (id INTEGER PRIMARY KEY, account_id INTEGER, rule_id TEXT, kind TEXT, symbol TEXT, "
            "reason TEXT, locked_at TEXT, expires_at TEXT, cleared_at TEXT, cleared_by TEXT)"
        )
        query = (
            "INSERT INTO lockouts (account_id, rule_id, reason, expires_at, cleared_at) VALUES (?, ?, 'limit', ?, ?)"
        )
        connection.executemany(query, rows)
        connection.commit()
    return path


def iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def test_lockouts_when_not_ended_by_the_daemon_count_whatever_this_clock_says(tmp_path: Path) -> None:
    later, earlier = NOW + timedelta(minutes=1), NOW - timedelta(microseconds=1)
    path = database(
        tmp_path / "state.db",
        (101, "RULE-003", iso(later), None),
        (102, "RULE-010", None, None),
        (103, "RULE-006", iso(earlier), None),
        (104, "RULE-003", iso(later), iso(earlier)),
    )

    found = active_lockouts(path)
    assert [(lockout.account_id, lockout.expires_at) for lockout in found] == [
        (101, later),
        (102, None),
        (103, earlier),
    ]


def test_lockouts_when_the_times_are_microseconds_reads_them(tmp_path: Path) -> None:
    until = NOW + timedelta(hours=1)
    path = database(tmp_path / "state.db", (101, "RULE-003", round(until.timestamp() * 1_000_000), None))

    assert active_lockouts(path) == [ActiveLockout(101, "RULE-003", "limit", until)]


def test_lockouts_when_the_daemon_never_ran_finds_none(tmp_path: Path) -> None:
    assert active_lockouts(tmp_path / "state.db") == []


@pytest.mark.parametrize("content", [b"", b"not a database at all, but long enough to look at" * 100])
def test_lockouts_when_the_database_is_damaged_are_not_taken_for_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(content)

    with pytest.raises(UnreadableDatabaseError, match=r"state\.db can't be read"):
        active_lockouts(path)


def test_lockouts_when_a_time_makes_no_sense_are_not_taken_for_none(tmp_path: Path) -> None:
    path = database(tmp_path / "state.db", (101, "RULE-003", "tomorrow", None))

    with pytest.raises(UnreadableDatabaseError):
        active_lockouts(path)


def test_sentence_when_several_are_locked_names_the_first_and_how_many_more() -> None:
    locked = [ActiveLockout(101, "RULE-003", "limit", NOW), ActiveLockout(102, "RULE-010", "limit", None)]

    sentence = service.locked_sentence(locked)
    assert sentence == ("Account 101 is locked by RULE-003 until 2026-11-20 15:00 UTC, and 1 more.")
    assert service.locked_sentence([]) is None


def test_service_when_not_on_windows_ends_2_with_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert service.main(["status"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "Windows" in captured.err
