"""The `riskd` and `riskgui` commands of the guides, run as people run them, against a simulated gateway."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.models import RULE_NAMES
from shared.paths import Home
from tests.docs.guides import GUIDES, commands
from tests.windows.bed.gateway import ACCOUNTS, GatewayThread
from tests.windows.bed.windows import eventually

WRITTEN = {command.text for guide in GUIDES for command in commands(guide)}
QUIET = {
    **os.environ,
    "RISK_MANAGER_REQUIRE_LOOPBACK": "1",
    "QT_QPA_PLATFORM": "offscreen",
    "COLUMNS": "140",
    "PYTHONUNBUFFERED": "1",
}


def argv(command: str, home: Home | None, *more: str, **meant: str) -> list[str]:
    """A command of the guides as words: the installed program, its home folder, and what JOURNAL and so on mean."""
    assert command in WRITTEN, f"no guide says {command!r} any more"
    words = [meant.get(word, word) for word in command.split()]
    program = str(Path(sys.executable).with_name(words[0]))
    return [program, *words[1:], *(["--home", str(home.root)] if home else []), *more]


def told(words: list[str]) -> tuple[int, str]:
    """Exit code and everything that the command says."""
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=100, env=QUIET
    )
    return done.returncode, done.stdout + done.stderr


@contextmanager
def started(words: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program in its own session, its output in ``log``; killed in the end if it still runs."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, env=QUIET
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)


def stop(process: subprocess.Popen[bytes]) -> int:
    """Ctrl+C; the exit code."""
    process.send_signal(signal.SIGINT)
    return process.wait(40)


@dataclass(frozen=True)
class Desk:
    """A daemon that ran a day with one breach and is still running."""

    home: Home
    gateway: GatewayThread
    process: subprocess.Popen[bytes]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    home = Home(folder / "home")
    home.create()
    with GatewayThread() as gateway:
        for name, text in gateway.configuration().items():
            (home.config / name).write_text(text, encoding="utf-8")
        home.holidays_file.write_text("dates: {}\n", encoding="utf-8")
        with started(argv("riskd run", home), folder / "daemon.txt") as process:
            healthy = argv("riskd status", home)
            eventually(lambda: told(healthy)[0] == 0, "the daemon is healthy", timeout_s=60)
            gateway.lose(ACCOUNTS[0])
            eventually(lambda: "locked until" in told(healthy)[1], "an account is locked", timeout_s=30)
            yield Desk(home, gateway, process)


def test_run_when_started_for_the_first_time_writes_the_templates_and_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The template names the real gateway, but no login: nothing is connected.
    monkeypatch.delitem(QUIET, "RISK_MANAGER_REQUIRE_LOOPBACK")
    home, log = Home(tmp_path / "home"), tmp_path / "said.txt"
    with started(argv("riskd run", home), log) as process:
        eventually(home.endpoint.exists, "the daemon runs", timeout_s=60)
        assert stop(process) == 0
    said = log.read_text(encoding="utf-8")

    assert "no login is enabled" in said
    for template in (home.accounts_file, home.risk_config_file, home.holidays_file):
        assert template.exists()
        assert str(template) in said
    assert told(argv("riskd check", home)) == (0, f"The configuration in {home.config} is valid.\n")


def test_check_when_two_things_are_wrong_names_both_with_file_line_and_key(desk: Desk, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.create()
    home.accounts_file.write_bytes(desk.home.accounts_file.read_bytes())
    home.holidays_file.write_text("dates: {}\n", encoding="utf-8")
    home.risk_config_file.write_text(
        "version: 1\nrules:\n  daily_realized_loss: {enabled: true, limit: 500}\n  max_contrats: {limit: 3}\n",
        encoding="utf-8",
    )
    code, said = told(argv("riskd check", home))

    assert code == 2
    assert f"{home.risk_config_file}" in said
    for line, key in ((3, "daily_realized_loss"), (4, "max_contrats")):
        assert any(f"line {line}" in sentence and key in sentence for sentence in said.splitlines()), said
    assert "Traceback" not in said


def test_status_when_the_daemon_runs_tells_every_account(desk: Desk) -> None:
    code, said = told(argv("riskd status", desk.home))

    assert code == 0
    assert "healthy" in said
    for account in ACCOUNTS:
        assert str(account) in said
    assert said.count("locked until") == 1
    assert said.count("protected") == len(ACCOUNTS) - 1


def test_status_when_no_daemon_runs_says_so_and_fails(tmp_path: Path) -> None:
    code, said = told(argv("riskd status", Home(tmp_path)))

    assert code == 1
    assert "Start it with: riskd run." in said


@pytest.mark.parametrize("command", ["riskgui", "riskgui --admin"])
def test_window_when_opened_beside_the_daemon_stays_until_it_is_ended(desk: Desk, tmp_path: Path, command: str) -> None:
    log = tmp_path / "said.txt"
    before = (desk.home.logs / "daemon.log").stat().st_size
    with started(argv(command, desk.home), log) as process:
        eventually(
            lambda: process.poll() is not None or _clients(desk.process.pid) > 0, "it is connected", timeout_s=60
        )
        assert process.poll() is None, log.read_text(encoding="utf-8")
        process.terminate()
        assert process.wait(30) in {0, -signal.SIGTERM}
    assert "Traceback" not in log.read_text(encoding="utf-8")
    assert (desk.home.logs / "daemon.log").stat().st_size >= before


def _clients(pid: int) -> int:
    """Connections that a process has accepted on its listening port."""
    import psutil

    found = psutil.Process(pid).net_connections("tcp")
    ports = {one.laddr.port for one in found if one.status == psutil.CONN_LISTEN}
    return sum(one.status == psutil.CONN_ESTABLISHED and one.laddr.port in ports for one in found)


def test_replay_when_the_day_is_named_or_compared_tells_what_was_decided(desk: Desk, tmp_path: Path) -> None:
    (journal,) = desk.home.journal.glob("*.jsonl.gz")
    day = journal.name.removesuffix(".jsonl.gz")
    other = tmp_path / "other.yaml"
    text = desk.home.risk_config_file.read_text(encoding="utf-8")
    other.write_text(text.replace("limit: -500", "limit: -50000"), encoding="utf-8")
    assert stop(desk.process) == 0

    code, said = told(argv("riskd replay JOURNAL", None, "--home", str(desk.home.root), JOURNAL=day))
    assert code == 0, said
    assert "RULE-003" in said
    assert "decisions from" in said
    code, by_file = told(argv("riskd replay JOURNAL", None, JOURNAL=str(journal)))
    assert (code, by_file) == (0, said)
    compared = "riskd replay JOURNAL --config other.yaml"
    code, said = told(argv(compared, None, JOURNAL=str(journal), **{"other.yaml": str(other)}))
    assert code == 0, said
    assert "recorded configuration only: " in said
    assert "recorded configuration only: 0" not in said


def test_demo_when_run_without_a_window_enforces_every_rule() -> None:
    code, said = told(argv("riskd demo --headless", None, "--speed", "20"))

    assert code == 0, said
    assert f"{len(RULE_NAMES)} of {len(RULE_NAMES)} rules enforced." in said


def test_demo_when_run_with_a_window_opens_it_and_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(QUIET, "DISPLAY", ":0")  # there is a display, as far as the demo asks; Qt draws without one
    code, said = told(argv("riskd demo", None, "--speed", "20", "--duration", "0.5"))

    assert code == 0, said
    assert "Close the window, or press Ctrl+C" in said
    assert f"{len(RULE_NAMES)} of {len(RULE_NAMES)} rules enforced." in said


def test_help_when_asked_lists_the_commands() -> None:
    code, said = told(argv("riskd --help", None))

    assert code == 0
    for word in ("run", "demo", "check", "replay", "status", "service"):
        assert word in said


def test_service_when_asked_for_elsewhere_than_on_windows_says_what_to_do_instead() -> None:
    code, said = told(argv("riskd service status", None))

    assert code == 2
    assert "riskd run" in said
