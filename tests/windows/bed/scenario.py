"""The life of the service as its users live it, told once: for the source tree and for the frozen build.

The tests run in the order in which they stand: install, watch, break, uninstall. Each breach takes an account of its
own.
"""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.windows.bed.gateway import ACCOUNTS, GatewayThread
from tests.windows.bed.windows import HOME, Windows, eventually

BLOCKER = Path(__file__).with_name("blocker.py")
RULE = "RULE-003"
STOPPED = ": Stopped."
"""The daemon's last line when it ends gracefully."""
NOT_READY = "was not ready after"
"""What a start says when the daemon needs longer than the product waits: on a machine that others keep very busy."""


@contextmanager
def blocked(windows: Windows, how: str, path: Path) -> Iterator[None]:
    """Another Windows program blocks a file: 'lock' takes an exclusive lock on it, 'alone' opens it without sharing."""
    inside = "C:\\" + str(path.relative_to(windows.prefix / "drive_c")).replace("/", "\\")
    ready = windows.work / f"blocked-{how}"
    ready.unlink(missing_ok=True)
    program = windows.start_program(os.environ["WPY"], str(BLOCKER), how, inside, f"Z:{ready}")
    try:
        eventually(ready.exists, f"the reader blocks {path.name}: {(windows.work / 'program.log').read_text()}")
        yield
    finally:
        windows.end(program)
        for pid in windows.processes(BLOCKER.name):
            os.kill(pid, signal.SIGKILL)


class ServiceLife:
    """Subclasses give ``windows`` (with its way to call riskd), ``daemon_word`` and the fixture ``gateway``."""

    daemon_word: str

    def daemon_pid(self, windows: Windows) -> int:
        (pid,) = windows.processes(self.daemon_word)
        return pid

    def start(self, windows: Windows, word: str = "start") -> str:
        """``riskd service start`` or ``restart``; what it said. A daemon that is slow to start is waited for."""
        code, said = windows.service(word)
        assert code == 0 or NOT_READY in said, said
        eventually(windows.endpoint, f"the daemon runs: {said}", timeout_s=240)
        eventually(lambda: windows.ask("get_status"), f"the daemon answers: {said}")
        return said

    def install(self, windows: Windows) -> str:
        """Install, or upgrade, with a start. One that was undone because the daemon was slow is tried again."""
        for _ in range(3):
            # Wine takes every folder for the user's; on Windows the home is the administrators' by now.
            code, said = windows.service("install", "--take-over")
            if NOT_READY not in said:
                break
        assert code == 0, said
        eventually(windows.healthy, "all accounts are watched again")
        return said

    def breach(self, windows: Windows, gateway: GatewayThread, account_id: int) -> None:
        """Lose more than allowed; the position must go and the lockout must come."""
        assert not windows.lockouts(account_id)
        gateway.lose(account_id)
        eventually(lambda: gateway.open_positions(account_id) == 0, "flat at the broker")
        eventually(lambda: self.locked(windows, account_id), "the account is locked")

    def locked(self, windows: Windows, account_id: int) -> bool:
        return any(lockout["rule_id"] == RULE for lockout in windows.lockouts(account_id))

    def test_01_install_when_fresh_sets_everything_up_without_starting_if_told_so(self, windows: Windows) -> None:
        code, said = windows.service("install", "--dry-run")
        assert code == 0, said
        assert said.count("[would do]") > 5, said
        assert not windows.home.exists()
        code, said = windows.service("install", "--no-start")

        assert code == 0, said
        assert "[failed]" not in said, said
        assert "accounts.yaml, risk_config.yaml, holidays.yaml" in said
        assert "riskd service start" in said
        code, said = windows.service("status")
        assert code == 1, said
        assert "stopped" in said

    def test_02_start_when_configured_watches_all_accounts(self, windows: Windows, gateway: GatewayThread) -> None:
        for name, text in gateway.configuration().items():
            (windows.home / "config" / name).write_text(text, encoding="utf-8")
        self.start(windows)
        eventually(windows.healthy, "all accounts are reconciled")
        code, said = windows.service("status")
        assert code == 0, said
        assert all(text in said for text in ("running", "healthy", str(HOME))), said

    def test_02_commands_of_the_guides_when_the_service_runs_answer(self, windows: Windows) -> None:
        code, said = windows.typed("check")
        assert code == 0, said
        assert "is valid" in said
        code, said = windows.typed("status")
        assert code == 0, said
        assert "healthy" in said
        assert said.count("protected") == len(ACCOUNTS), said

    def test_03_breach_when_the_service_runs_ends_flat_and_locked(
        self, windows: Windows, gateway: GatewayThread
    ) -> None:
        self.breach(windows, gateway, 101)

    def test_04_stop_and_start_when_locked_end_gracefully_and_stay_locked(self, windows: Windows) -> None:
        stopped = windows.logged(STOPPED)
        code, said = windows.service("stop")
        assert code == 0, said
        assert windows.logged(STOPPED) == stopped + 1, "it ended by itself: NSSM did not have to end it by force"
        assert windows.processes(self.daemon_word) == []
        assert windows.endpoint() == {}
        assert windows.logged("page fault") == 0
        assert windows.database("PRAGMA integrity_check") == [("ok",)]
        assert windows.database("SELECT COUNT(*) FROM lockouts WHERE account_id = 101 AND cleared_at IS NULL") != [(0,)]
        self.start(windows)

        assert self.locked(windows, 101)

    def test_04_restart_when_locked_stays_locked(self, windows: Windows) -> None:
        before = windows.endpoint()["instance"]
        self.start(windows, "restart")

        assert windows.endpoint()["instance"] != before
        assert self.locked(windows, 101)

    def test_05_kill_when_locked_is_restarted_by_nssm_and_still_locked(
        self, windows: Windows, gateway: GatewayThread
    ) -> None:
        before = windows.endpoint()["instance"]
        os.kill(self.daemon_pid(windows), signal.SIGKILL)
        eventually(lambda: windows.endpoint().get("instance", before) != before, "NSSM starts it anew")
        eventually(windows.healthy, "all accounts are watched again")

        assert self.locked(windows, 101)
        self.breach(windows, gateway, 102)

    def test_06_nssm_killed_when_the_daemon_is_an_orphan_ends_it(self, windows: Windows) -> None:
        daemon = self.daemon_pid(windows)
        (host,) = windows.processes("nssm.exe")
        os.kill(host, signal.SIGKILL)
        eventually(lambda: daemon not in windows.processes(self.daemon_word), "the orphan ends")
        assert windows.logged("service host has ended") == 1
        # The service manager of Windows would start it by itself after 10 s; Wine's does not.
        self.start(windows)

        assert self.locked(windows, 101)
        assert self.locked(windows, 102)

    def test_07_port_when_another_program_has_it_does_not_keep_the_daemon_from_enforcing(
        self, windows: Windows, gateway: GatewayThread
    ) -> None:
        code, said = windows.service("stop")
        assert code == 0, said
        with socket.create_server(("127.0.0.1", gateway.ipc_port)):
            self.start(windows)
            assert windows.endpoint()["port"] != gateway.ipc_port
            self.breach(windows, gateway, 103)

    def test_08_view_when_a_reader_locks_it_does_not_keep_the_daemon_from_enforcing(
        self, windows: Windows, gateway: GatewayThread
    ) -> None:
        view = windows.home / "public" / windows.endpoint()["view"]
        with blocked(windows, "lock", view.with_name(view.name + "-shm")):
            self.breach(windows, gateway, 104)

    def test_09_view_when_a_reader_opens_it_alone_during_a_start_does_not_keep_it_from_enforcing(
        self, windows: Windows, gateway: GatewayThread
    ) -> None:
        view = windows.home / "public" / windows.endpoint()["view"]
        code, said = windows.service("stop")
        assert code == 0, said
        with blocked(windows, "alone", view):
            self.start(windows)
            self.breach(windows, gateway, 105)
        eventually(lambda: self.in_view(windows, 105), "the replica shows the lockout under its new name")

    def in_view(self, windows: Windows, account_id: int) -> bool:
        view = windows.home / "public" / windows.endpoint()["view"]
        try:
            connection = sqlite3.connect(f"{view.as_uri()}?mode=ro", uri=True, timeout=5)
            try:
                rows = connection.execute("SELECT 1 FROM lockouts WHERE account_id = ?", (account_id,)).fetchall()
            finally:
                connection.close()
        except sqlite3.OperationalError:
            return False
        return bool(rows)

    def test_10_install_when_installed_keeps_configuration_and_lockouts(self, windows: Windows) -> None:
        rules = windows.home / "config" / "risk_config.yaml"
        before = rules.read_bytes()
        said = self.install(windows)

        assert not any(tag in said for tag in ("[failed]", "[left out]")), said
        assert rules.read_bytes() == before
        assert self.locked(windows, 101)

    def test_11_uninstall_when_an_account_is_locked_is_refused(self, windows: Windows) -> None:
        code, said = windows.service("uninstall", "--keep-data")

        assert code == 1, said
        assert "is locked by RULE-003" in said
        code, said = windows.service("uninstall", "--keep-data", "--dry-run")
        assert code == 0, said
        assert "[would do] Stop and remove the service" in said
        assert windows.healthy()

    def test_12_uninstall_when_an_administrator_insists_removes_everything_but_the_data(self, windows: Windows) -> None:
        code, said = windows.service("uninstall", "--keep-data", "--although-locked")

        assert code == 0, said
        assert windows.processes(self.daemon_word) == []
        assert windows.processes("nssm.exe") == []
        actions = windows.database("SELECT * FROM audit_log")
        assert any("although locked" in str(action) for action in actions), "the daemon recorded it"

    def test_13_install_when_the_data_was_kept_goes_on_with_the_lockouts(self, windows: Windows) -> None:
        self.install(windows)

        assert self.locked(windows, 101)

    def test_14_uninstall_when_purged_deletes_the_data(self, windows: Windows) -> None:
        code, said = windows.service("uninstall", "--purge", "--yes", "--although-locked")

        assert code == 0, said
        assert not windows.home.exists()
