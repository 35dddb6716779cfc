"""Logs go to their files by a thread, without secrets, and no disk, reader or line from outside can harm them."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loguru import logger

from daemon import logs
from daemon.credentials import redact
from daemon.log_files import DailyFile
from daemon.logs import CHECKPOINTS, Logs, activity, api_log, checkpoint, enforcement_log

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIiwiZXhwIjoxfQ.c2lnbmF0dXJl"
TODAY = date(2026, 11, 21)


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Logs]:
    """Logs in tmp_path/logs and tmp_path/public; the standard logging is put back afterwards."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    made = logs.setup(
        tmp_path / "logs", public=tmp_path / "public", redact=lambda text: redact(text.replace("hunter2", "***"))
    )
    yield made
    made.close()
    root.handlers[:], _ = before
    root.setLevel(before[1])
    logging.captureWarnings(False)


def lines(tmp_path: Path, name: str) -> list[str]:
    path = tmp_path / ("public" if name == "activity" else "logs") / f"{name}.log"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def test_lines_when_logged_are_in_their_files(written: Logs, tmp_path: Path) -> None:
    logger.info("Ready with {} accounts.", 3)
    enforcement_log.warning("Closed 2 MNQ.")
    api_log.info("POST closeContract")
    api_log.error("hub lost")
    activity("Account 101 is locked until 17:00 New York.")
    assert written.flush()
    daemon, enforcement, api, error = (lines(tmp_path, name) for name in ("daemon", "enforcement", "api", "error"))
    assert [line.split(": ", 1)[1] for line in daemon] == ["Ready with 3 accounts.", "Closed 2 MNQ."]
    assert [line.split(": ", 1)[1] for line in enforcement] == ["Closed 2 MNQ."]
    assert [line.split(": ", 1)[1] for line in api] == ["POST closeContract", "hub lost"]
    assert [line.split(": ", 1)[1] for line in error] == ["hub lost"]
    (told,) = lines(tmp_path, "activity")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC  Account 101 is locked until 17:00 New York\.", told)
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO     tests\.daemon\.test_logs: ", daemon[0])
    moment = datetime.fromisoformat(daemon[0].split()[0])
    assert abs((datetime.now(UTC) - moment).total_seconds()) < 60


def test_files_when_made_are_readable_by_the_daemon_alone_but_for_the_activity(written: Logs, tmp_path: Path) -> None:
    logger.error("x")
    activity("y")
    assert written.flush()
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.glob("*/*.log")}
    if sys.platform != "win32":
        private = dict.fromkeys(("daemon.log", "enforcement.log", "api.log", "error.log"), 0o600)
        assert modes == {**private, "activity.log": 0o644}


def test_level_when_changed_holds_from_then_on(written: Logs, tmp_path: Path) -> None:
    logger.debug("one")
    written.set_level("DEBUG")
    logger.debug("two")
    written.set_level("ERROR")
    logger.warning("three")
    assert written.flush()
    assert [line.rsplit(" ", 1)[1] for line in lines(tmp_path, "daemon")] == ["two"]


SECRET_LINES = [
    f"wss://rtc.topstepx.com/hubs/user?access_token={JWT}&id=5",
    "wss://rtc.topstepx.com/hubs/user?access_token=opaque-SECRET&id=5",
    f"Authorization: Bearer {JWT}",
    "Authorization: Bearer SECRET",
    f"bare {JWT} in a line",
    '{"userName": "trader1", "apiKey": "SECRET=="}',
    "{'api_key': 'SECRET'}",
    "api_key: SECRET",
    '{"newToken":"SECRET"}',
    "password=SECRET,",
]


@pytest.mark.parametrize("line", SECRET_LINES)
def test_secret_when_in_a_line_is_taken_out(written: Logs, tmp_path: Path, line: str) -> None:
    logger.info("{}", line)
    try:
        raise ValueError(line)
    except ValueError:
        logger.exception("failed")
    logging.getLogger("pysignalr.transport").warning(line)
    assert written.flush()
    text = "".join(path.read_text() for path in tmp_path.glob("logs/*"))
    assert "SECRET" not in text
    assert "eyJ" not in text
    assert text.count("[hidden]") >= 3


def test_secret_when_known_only_to_the_given_function_is_taken_out(written: Logs, tmp_path: Path) -> None:
    logger.info("the key is hunter2")
    assert written.flush()
    assert "hunter2" not in "".join(lines(tmp_path, "daemon"))


@pytest.mark.parametrize("line", ["Account 101 locked", "token refreshed", "The key of trader1 is set", "monkey: x"])
def test_line_when_it_holds_no_secret_is_left_alone(line: str) -> None:
    assert redact(line) == line


@given(st.text())
def test_redaction_when_given_anything_ends_and_is_stable(text: str) -> None:
    assert redact(redact(text)) == redact(text)


def test_line_when_it_holds_line_breaks_cannot_pass_for_another(written: Logs, tmp_path: Path) -> None:
    logger.info("tag\n2026-11-21T07:00:00.000Z INFO forged: all is well\r\n")
    activity("first\n2026-11-21 07:00:00 UTC  second")
    assert written.flush()
    first, *rest = lines(tmp_path, "daemon")
    assert first.endswith("tag")
    assert rest
    assert all(line.startswith("    ") for line in rest)
    assert len(lines(tmp_path, "activity")) == 1


def test_exception_when_logged_shows_its_traceback_but_no_values(written: Logs, tmp_path: Path) -> None:
    secret_value = "do not show"
    try:
        len(secret_value) / 0
    except ZeroDivisionError:
        logger.exception("broke")
    assert written.flush()
    text = "\n".join(lines(tmp_path, "daemon"))
    assert "ZeroDivisionError: division by zero" in text
    assert "test_logs.py" in text
    assert secret_value not in text.replace('secret_value = "do not show"', "")


def test_standard_logging_when_used_by_libraries_is_taken_over(
    written: Logs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printing = logging.getLogger("project_x_py.client.http")
    printing.addHandler(logging.StreamHandler(sys.stdout))
    printing.propagate = False
    printing.setLevel(logging.INFO)
    logs.capture_standard_logging("INFO")
    printing.info("request %s", "sent")
    logging.getLogger("sqlalchemy.engine").info("SELECT 1")
    logging.getLogger("apscheduler.scheduler").warning("missed %d", 1)
    logging.getLogger("somebody").error("bad format %d", "x")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("take care", stacklevel=1)
    assert written.flush()
    assert any("project_x_py.client.http: request sent" in line for line in lines(tmp_path, "api"))
    text = "\n".join(lines(tmp_path, "daemon"))
    assert "SELECT" not in text
    assert "apscheduler.scheduler: missed 1" in text
    assert "bad format" in text
    assert "take care" in text
    assert capsys.readouterr().out == ""


def test_checkpoints_when_passed_are_logged_in_the_words_of_the_guide(written: Logs, tmp_path: Path) -> None:
    assert [number for number, _ in CHECKPOINTS.values()] == list(range(1, 9))
    for name in CHECKPOINTS:
        checkpoint(name, account_id=101)
    for _ in range(5):
        checkpoint("event_received", kind="Quote")
        checkpoint("rule_evaluated", rule_id="RULE-003")
        checkpoint("enforcement_triggered", rule_id="{RULE-003}")
    assert written.flush()
    told = [line.split(": ", 1)[1] for line in lines(tmp_path, "daemon")]
    assert told[0] == "[1/8] Service starting: account_id=101"
    assert sum(text.startswith("[6/8]") for text in told) == 1, "once: nothing is logged for every event"
    assert sum(text.startswith("[7/8]") for text in told) == 1
    assert sum(text.startswith("[8/8]") for text in told) == 6
    assert len(lines(tmp_path, "enforcement")) == 6
    with pytest.raises(KeyError):
        checkpoint("somewhere")  # type: ignore[arg-type]


def test_logging_when_the_folder_cannot_be_used_goes_on(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("in the way")
    made = logs.setup(tmp_path / "logs")
    logger.error("lost")
    assert made.flush()
    (tmp_path / "logs").unlink()
    logger.error("kept")
    assert made.flush()
    made.close()
    assert [line.rsplit(" ", 1)[-1] for line in lines(tmp_path, "daemon")] == ["written", "kept"]


def test_setup_when_called_again_replaces_the_logs(tmp_path: Path) -> None:
    first = logs.setup(tmp_path / "one")
    second = logs.setup(tmp_path / "two")
    logger.info("x")
    assert second.flush()
    first.close()
    second.close()
    second.close()
    assert (tmp_path / "one" / "daemon.log").read_text() == ""
    assert (tmp_path / "two" / "daemon.log").read_text() != ""


def test_console_when_wanted_shows_the_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = logs.setup(tmp_path, console=True)
    logger.info("api_key=hunter2")
    enforcement_log.info("closed")
    activity("told")
    made.close()
    shown = capsys.readouterr().err
    assert "api_key=[hidden]" in shown
    assert "closed" in shown
    assert "told" not in shown


def test_logs_when_the_program_ends_without_closing_are_written(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from daemon import logs; from loguru import logger;"
        "logs.setup(Path(sys.argv[1])); [logger.info(f'line {n}') for n in range(500)]"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=30)
    assert len((tmp_path / "daemon.log").read_text().splitlines()) == 500


def test_file_when_started_again_moves_what_was_there_to_a_dated_name(tmp_path: Path) -> None:
    for text in ("one\n", "two\n", "three\n"):
        file = DailyFile(tmp_path, "daemon")
        assert file.write(text, datetime.now(UTC).date())
        file.close()
    today = datetime.now(UTC).date().isoformat()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "daemon.log": "three\n",
        f"daemon-{today}-1.log": "one\n",
        f"daemon-{today}-2.log": "two\n",
    }


def test_file_when_the_day_changes_begins_anew_and_drops_the_old(tmp_path: Path) -> None:
    for name in ("daemon-2026-10-22-1.log", "daemon-2026-10-23-3.log", "daemon-x.log", "api-2026-01-01-1.log"):
        (tmp_path / name).write_text("old\n")
    file = DailyFile(tmp_path, "daemon", kept_days=30)
    file.write("a\n", TODAY)
    file.write("b\n", TODAY)
    assert (tmp_path / "daemon.log").read_text() == "a\nb\n"
    file.write("c\n", date(2026, 11, 22))
    file.close()
    assert (tmp_path / "daemon.log").read_text() == "c\n"
    names = {path.name for path in tmp_path.iterdir()}
    assert "daemon-2026-10-22-1.log" not in names
    assert {"daemon-2026-10-23-3.log", "daemon-x.log", "api-2026-01-01-1.log"} <= names


def test_file_when_a_reader_prevents_renaming_uses_a_dated_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows: renaming a file that somebody has open fails with PermissionError (WinError 32)."""
    (tmp_path / "daemon.log").write_text("being read\n")

    def refuse(self: Path, target: Path) -> Path:
        raise PermissionError(13, "used by another process", str(self))

    monkeypatch.setattr(Path, "rename", refuse)
    file = DailyFile(tmp_path, "daemon")
    assert file.write("new\n", TODAY)
    assert file.path.name == "daemon-2026-11-21-1.log"
    assert file.write("next\n", date(2026, 11, 22))
    file.close()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "daemon.log": "being read\n",
        "daemon-2026-11-21-1.log": "new\n",
        "daemon-2026-11-22-1.log": "next\n",
    }


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_file_when_the_disk_is_full_counts_what_was_lost(tmp_path: Path) -> None:
    (tmp_path / "daemon.log").symlink_to("/dev/full")
    file = DailyFile(tmp_path, "daemon")
    assert not file.write("one\ntwo\n", TODAY)
    assert not file.write("three\n", TODAY)
    assert file.lost == 3
    (tmp_path / "daemon.log").unlink()
    assert file.write("four\n", TODAY)
    file.close()
    assert (tmp_path / "daemon.log").read_text() == "... 3 lines could not be written\nfour\n"


def test_point_when_it_comes_before_its_turn_waits_for_those_before_it(written: Logs, tmp_path: Path) -> None:
    for name in ("service_start", "config_loaded", "rules_initialized", "event_received"):
        checkpoint(name)
    checkpoint("enforcement_triggered")
    checkpoint("sdk_connected")
    checkpoint("event_loop_running")
    assert written.flush()
    numbers = [line.split("[")[1][0] for line in lines(tmp_path, "daemon")]
    assert numbers == ["1", "2", "8", "3", "4", "5", "6"]


def test_gateways_words_are_in_the_daemons_log_and_in_its_own(written: Logs, tmp_path: Path) -> None:
    logging.getLogger("daemon.gateway.login").warning("Login trader1: refused")
    assert written.flush()
    for name in ("daemon", "api"):
        assert [line.split(": ", 1)[1] for line in lines(tmp_path, name)] == ["Login trader1: refused"]


def test_characters_that_nobody_sees_are_in_no_line(written: Logs, tmp_path: Path) -> None:
    logger.info("{}", "Account \u202eevil\u202c \x1b[31mred\x07\u200b is locked.\nsecond")
    activity("Account \u202eevil\x1b[31m is locked.\nforged")
    assert written.flush()
    first, second = lines(tmp_path, "daemon")
    assert first.endswith("Account  evil   [31mred   is locked.")
    assert second == "    second"
    assert lines(tmp_path, "activity")[0].endswith("Account evil [31m is locked. forged")
