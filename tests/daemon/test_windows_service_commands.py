"""What ``riskd service`` asks before it has the service down, against a stand-in for nssm.exe and for the daemon."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from daemon.windows import service
from daemon.windows.execution import Executor
from daemon.windows.permission import Wish
from daemon.windows.steps import Program, Step
from shared.paths import Home
from tests.daemon.test_windows_plan import INSTALLED

NSSM = """#!{python}
import pathlib, sys
state = pathlib.Path({state!r})
with open({calls!r}, "a") as calls:
    print(sys.argv[1], file=calls)
match sys.argv[1]:
    case "status" if not state.exists():
        sys.exit(3)
    case "status":
        print(state.read_text())
    case "stop":
        state.write_text("SERVICE_STOPPED")
    case "start":
        state.write_text("SERVICE_RUNNING")
    case "get":
        print("RISK_MANAGER_HOME=" + {home!r} if sys.argv[3] == "AppEnvironmentExtra" else "")
"""


class Installed:
    """A service of one home folder, and what was asked of the daemon that decides."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder / "home")
        self.home.create()
        self.state, self.calls = folder / "state", folder / "calls"
        self.state.write_text("SERVICE_RUNNING")
        self.calls.write_text("")
        self.nssm = folder / "nssm"
        self.nssm.write_text(
            NSSM.format(python=sys.executable, state=str(self.state), calls=str(self.calls), home=str(self.home.root))
        )
        self.nssm.chmod(0o755)
        self.check = folder / "check.py"
        self.check.write_text("")
        self.asked: list[tuple[Home, Wish]] = []
        self.answer: str | None = None

    def program(self) -> Program:
        return Program(PurePosixPath(sys.executable), f"{self.check} run", PurePosixPath(self.check.parent), None)

    def refusal(self, home: Home, wish: Wish) -> str | None:
        self.asked.append((home, wish))
        return self.answer

    def did(self) -> list[str]:
        return [call for call in self.calls.read_text().split() if call in {"stop", "start"}]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installed:
    made = Installed(tmp_path)
    monkeypatch.delenv("RISK_MANAGER_HOME", raising=False)
    monkeypatch.setattr(service, "nssm_path", lambda: made.nssm)
    monkeypatch.setattr(service, "running_program", made.program)
    monkeypatch.setattr(service, "refusal", made.refusal)
    monkeypatch.setattr(service, "_started", lambda control: f"The service is {control.state()}.")
    return made


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    def read() -> str:
        captured = capsys.readouterr()
        return captured.out + captured.err

    return read


@pytest.mark.parametrize("word", ["stop", "restart"])
def test_service_when_the_daemon_refuses_goes_on(installed: Installed, said: Callable[[], str], word: str) -> None:
    installed.answer = "A second factor is set up: say --second-factor CODE."

    assert service.command([word]) == 1
    assert said() == f"{installed.answer}\n"
    assert installed.did() == []
    assert [(home.root, wish) for home, wish in installed.asked] == [(installed.home.root, Wish(word))]


@pytest.mark.parametrize("word", ["stop", "restart"])
def test_service_when_a_code_is_given_hands_it_to_the_daemon(installed: Installed, word: str) -> None:
    assert service.command([word, "--second-factor", "123456"]) == 0
    assert [wish for _, wish in installed.asked] == [Wish(word, second_factor="123456")]
    assert installed.did() == ["stop"]


@pytest.mark.parametrize("word", ["stop", "restart"])
def test_service_when_it_does_not_run_needs_no_permission(installed: Installed, word: str) -> None:
    installed.state.write_text("SERVICE_STOPPED")
    installed.answer = "never"

    assert service.command([word]) == 0
    assert installed.asked == []


def test_restart_when_the_configuration_could_not_start_again_is_not_begun(
    installed: Installed, said: Callable[[], str]
) -> None:
    installed.check.write_text("print('accounts.yaml line 3: logins: nonsense'); raise SystemExit(2)")

    assert service.command(["restart"]) == 1
    told = said()
    assert told.startswith("The service was left as it is, because the configuration in")
    assert "line 3" in told
    assert installed.did() == []


def test_service_when_interrupted_says_what_to_look_at(
    installed: Installed, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(service, "_started", interrupted)

    assert service.command(["restart"]) == 1
    assert said() == "Interrupted. See whether the service runs (riskd service status), else start it.\n"


def test_restart_when_nothing_is_installed_says_so(installed: Installed, said: Callable[[], str]) -> None:
    installed.state.unlink()

    assert service.command(["restart"]) == 1
    assert "not installed" in said()
    assert installed.asked == []


@pytest.mark.parametrize("word", ["stop", "restart", "start", "install", "uninstall"])
def test_service_when_another_home_is_named_is_not_asked_there(
    installed: Installed, said: Callable[[], str], tmp_path: Path, word: str
) -> None:
    empty = tmp_path / "empty"  # nothing is locked there, and no second factor set up

    assert service.command([word, "--home", str(empty)]) == 1
    assert f"uses the home folder {installed.home.root}: say no other --home" in said()
    assert (installed.asked, installed.did()) == ([], [])


def test_service_when_its_own_home_is_named_by_another_way_takes_it(installed: Installed, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(installed.home.root)

    assert service.command(["stop", "--home", str(tmp_path / "link")]) == 0
    assert installed.did() == ["stop"]


@pytest.mark.parametrize("options", [["--no-start"], []])
@pytest.mark.parametrize("refused", ["A second factor is set up.", None])
def test_install_when_the_service_runs_asks_as_stop_does(
    installed: Installed, monkeypatch: pytest.MonkeyPatch, options: list[str], refused: str | None
) -> None:
    carried: list[str] = []

    def carry_out(_: Executor, steps: Sequence[Step]) -> bool:
        carried.extend(step.title for step in steps)
        return True

    monkeypatch.setattr(service, "gather", lambda *_: INSTALLED)
    monkeypatch.setattr(Executor, "carry_out", carry_out)
    installed.answer = refused

    assert service.command(["install", *options]) == (1 if refused else 0)
    assert ("Stop the running service" in carried) is (refused is None)
    assert [wish.action for _, wish in installed.asked] == ["replace the running program"]


def test_install_when_nothing_runs_asks_nobody(installed: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "gather", lambda *_: replace(INSTALLED, service_runs=False))
    monkeypatch.setattr(Executor, "carry_out", lambda *_: True)
    installed.answer = "never"

    assert service.command(["install"]) == 0
    assert installed.asked == []
