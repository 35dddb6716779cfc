"""Starting and stopping the service, against a stand-in for nssm.exe and a stand-in for the daemon."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.windows import control
from daemon.windows.control import Control, ask_status, endpoint_of
from daemon.windows.execution import SkippedError, StepError
from daemon.windows.steps import Program
from shared.paths import Home

# Keeps its state in a file, as the service manager does; "start" answers 1, as NSSM does for a service still starting.
NSSM = """#!{python}
import pathlib, sys
state = pathlib.Path({state!r})
command = sys.argv[1]
if not state.exists():
    sys.exit(3)
if command == "status":
    sys.stdout.buffer.write(state.read_text().encode("utf-16-le"))
elif command == "stop" and {stops}:
    state.write_text("SERVICE_STOPPED")
elif command == "start":
    state.write_text("SERVICE_RUNNING")
    sys.exit(1)
elif command == "get":
    print("RISK_MANAGER_HOME=/somewhere/else" if sys.argv[3] == "AppEnvironmentExtra" else "")
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.create()
    return made


def controlled(
    home: Home, state: str | None, *, stops: bool = True, sleep: Callable[[float], None] | None = None
) -> Control:
    state_file, nssm = home.root / "state", home.root / "nssm"
    if state is not None:
        state_file.write_text(state)
    nssm.write_text(NSSM.format(python=sys.executable, state=str(state_file), stops=stops))
    nssm.chmod(0o755)
    return Control(nssm, home, sleep=sleep or (lambda _: None))


def program(check: str) -> Program:
    """A program whose ``check`` is the given Python code."""
    script = Path(check)
    return Program(Path(sys.executable), f"{script} run", script.parent, None)


@pytest.fixture
def valid(tmp_path: Path) -> Program:
    script = tmp_path / "valid.py"
    script.write_text("")
    return program(str(script))


@pytest.fixture
def daemon_port() -> Iterator[int]:
    """A daemon that answers every line with 'healthy'."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection, connection.makefile("rwb") as lines:
                    asked = json.loads(lines.readline())
                    answer = {"jsonrpc": "2.0", "id": asked["id"], "result": {"status": "healthy"}}
                    lines.write(json.dumps(answer).encode() + b"\n")

        threading.Thread(target=serve, daemon=True).start()
        yield int(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)


def publish(home: Home, port: int, instance: str) -> None:
    content = {"host": "127.0.0.1", "port": port, "pid": 4711, "version": "0.1.0", "instance": instance}
    home.endpoint.write_text(json.dumps(content))


def test_start_when_the_daemon_gets_ready_tells_its_port(home: Home, valid: Program, daemon_port: int) -> None:
    publish(home, 1, "the one before")
    started = controlled(home, "SERVICE_STOPPED", sleep=lambda _: publish(home, daemon_port, "new"))

    assert started.start(valid) == f"healthy on port {daemon_port}, process 4711"


def test_start_when_it_runs_already_says_so(home: Home, valid: Program, daemon_port: int) -> None:
    publish(home, daemon_port, "running")

    assert "runs already" in controlled(home, "SERVICE_RUNNING").start(valid)


def test_start_when_only_the_endpoint_of_a_dead_daemon_is_there_does_not_take_it_for_ready(
    home: Home, valid: Program, daemon_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "START_TIMEOUT_S", 0.3)
    publish(home, daemon_port, "the one before")
    (home.logs / "error.log").write_text("first line\nThe gateway refused the login of trader1.\n")

    with pytest.raises(StepError, match="not ready") as failed:
        controlled(home, "SERVICE_STOPPED").start(valid)
    assert "refused the login" in str(failed.value), "the log's last words are the reason"


def test_start_when_the_configuration_is_not_valid_is_left_out(home: Home, tmp_path: Path) -> None:
    script = tmp_path / "invalid.py"
    script.write_text("print('accounts.yaml: logins: at least one is needed'); raise SystemExit(2)")

    with pytest.raises(SkippedError, match="at least one is needed"):
        controlled(home, "SERVICE_STOPPED").start(program(str(script)))


def test_stop_when_it_runs_waits_for_the_end(home: Home) -> None:
    stopped = controlled(home, "SERVICE_RUNNING")
    stopped.stop()

    assert stopped.state() == "SERVICE_STOPPED"


def test_stop_when_it_does_not_end_says_so(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "STOP_TIMEOUT_S", 1.0)

    with pytest.raises(StepError, match="did not stop within"):
        controlled(home, "SERVICE_RUNNING", stops=False).stop()


@pytest.mark.parametrize("state", ["SERVICE_STOPPED", None])
def test_stop_when_it_does_not_run_is_fine(home: Home, state: str | None) -> None:
    assert controlled(home, state).stop() == "it did not run"


def test_state_when_the_service_is_not_there_is_absent(home: Home) -> None:
    assert controlled(home, None).state() == control.ABSENT


@pytest.mark.parametrize("content", ["", "{", "[]", '{"host": "127.0.0.1"}', '{"host": "127.0.0.1", "port": "x"}'])
def test_endpoint_when_it_is_not_whole_is_none(home: Home, content: str) -> None:
    home.endpoint.write_text(content)

    assert endpoint_of(home) is None


def test_status_when_nobody_answers_is_none(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        publish(home, server.getsockname()[1], "silent")
        endpoint = endpoint_of(home)
        assert endpoint is not None
        assert ask_status(endpoint, timeout_s=0.2) is None
    assert ask_status(endpoint, timeout_s=0.2) is None
