"""Starting: one instance, options, autostart entry, elevation."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest
from PySide6.QtCore import QByteArray, QSettings
from PySide6.QtWidgets import QApplication

from gui import autostart, elevation
from gui.__main__ import main, parser
from gui.app import TrayApp
from gui.elevation import Outcome, judge
from gui.settings import Settings
from gui.single_instance import SingleInstance, server_name
from gui.views.page import Context
from gui.views.trader.settings import SettingsPage
from shared.paths import Home
from tests.gui.live import eventually


def test_instance_when_second_starts_raises_the_first(look: QApplication, tmp_path: Path, qtbot: object) -> None:
    name = server_name(Home(tmp_path), "trader")
    first = SingleInstance(name)
    assert first.acquire()
    raised: list[int] = []
    first.raised.connect(lambda: raised.append(1))
    # Another process, as it is in life: the first answers from its own loop.
    second = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from PySide6.QtCore import QCoreApplication; from gui.single_instance import SingleInstance;"
            f"a = QCoreApplication([]); sys.exit(7 if SingleInstance({name!r}).acquire() else 0)",
        ]
    )
    for _ in range(1000):
        look.processEvents()
        if second.poll() is not None and raised:
            break
        look.thread().msleep(10)
    assert second.wait(5) == 0
    assert raised == [1]
    first.release()
    third = SingleInstance(name)
    assert third.acquire()
    third.release()


def test_instance_when_home_or_role_differs_is_another(tmp_path: Path) -> None:
    names = {server_name(Home(tmp_path / home), role) for home in ("a", "b") for role in ("trader", "admin")}
    assert len(names) == 4


def test_options_when_given_are_understood() -> None:
    options = parser().parse_args(["--home", "/x", "--minimized", "--admin"])
    assert (options.home, options.minimized, options.admin) == ("/x", True, True)


def test_options_when_wrong_end_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main(["--nonsense"])
    assert error.value.code == 2


def test_version_when_asked_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("Risk Manager ")


def test_autostart_when_switched_on_and_off_writes_and_removes_the_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    assert not autostart.enabled()
    autostart.set_enabled(True)
    assert autostart.enabled()
    entry = (tmp_path / "autostart" / "risk-manager.desktop").read_text(encoding="utf-8")
    assert "--minimized" in entry
    autostart.set_enabled(False)
    autostart.set_enabled(False)
    assert not autostart.enabled()


class FakeRegistry(ModuleType):
    """`winreg`, as far as the entry needs it: values by root and key."""

    HKEY_CURRENT_USER, HKEY_LOCAL_MACHINE, REG_SZ = 1, 2, 1

    def __init__(self) -> None:
        super().__init__("winreg")
        self.values: dict[tuple[int, str], dict[str, str]] = {}

    @contextmanager
    def OpenKey(self, root: int, path: str) -> Iterator[tuple[int, str]]:  # noqa: N802 - winreg's name
        if (root, path) not in self.values:
            raise FileNotFoundError(2, "The system cannot find the file specified")
        yield root, path

    @contextmanager
    def CreateKey(self, root: int, path: str) -> Iterator[tuple[int, str]]:  # noqa: N802 - winreg's name
        assert root == self.HKEY_CURRENT_USER, "only the user's own entry may be written"
        self.values.setdefault((root, path), {})
        yield root, path

    def QueryValueEx(self, key: tuple[int, str], name: str) -> tuple[str, int]:  # noqa: N802 - winreg's name
        try:
            return self.values[key][name], self.REG_SZ
        except KeyError:
            raise FileNotFoundError(2, "The system cannot find the file specified") from None

    def SetValueEx(self, key: tuple[int, str], name: str, _: int, kind: int, value: str) -> None:  # noqa: N802
        assert kind == self.REG_SZ
        self.values[key][name] = value

    def DeleteValue(self, key: tuple[int, str], name: str) -> None:  # noqa: N802 - winreg's name
        del self.values[key][name]


RUN = r"Software\Microsoft\Windows\CurrentVersion\Run"
MINE, MACHINES = (FakeRegistry.HKEY_CURRENT_USER, RUN), (FakeRegistry.HKEY_LOCAL_MACHINE, RUN)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> FakeRegistry:
    fake = FakeRegistry()
    monkeypatch.setitem(sys.modules, "winreg", fake)
    monkeypatch.setattr(sys, "platform", "win32")
    return fake


def test_autostart_when_switched_on_windows_writes_the_users_value(registry: FakeRegistry) -> None:
    assert not autostart.enabled()
    autostart.set_enabled(True)
    assert autostart.enabled() and not autostart.for_everyone()
    assert registry.values[MINE]["RiskManager"].endswith("--minimized")
    autostart.set_enabled(False)
    autostart.set_enabled(False)
    assert not autostart.enabled()


def test_autostart_when_installer_wrote_it_for_everyone_is_on(registry: FakeRegistry) -> None:
    registry.values[MACHINES] = {"Another": "x.exe"}
    assert not autostart.enabled()
    registry.values[MACHINES]["RiskManager"] = r'"C:\Program Files\Risk Manager\gui\RiskManager.exe" --minimized'
    assert autostart.enabled() and autostart.for_everyone()
    autostart.set_enabled(False)
    assert autostart.enabled(), "a user can't take away what the administrator set"


def test_settings_when_installer_starts_it_for_everyone_leave_no_choice(
    registry: FakeRegistry, look: QApplication, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.values[MACHINES] = {"RiskManager": "RiskManager.exe --minimized"}
    page = SettingsPage(context, "0.1.0")
    assert page.autostart.isChecked() and not page.autostart.isEnabled()
    page.deleteLater()


@pytest.mark.parametrize("installed", [False, True])
def test_autostart_when_already_there_is_not_offered(
    registry: FakeRegistry,
    look: QApplication,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    installed: bool,
) -> None:
    monkeypatch.setenv("RISK_MANAGER_HOME", str(tmp_path))
    if installed:
        registry.values[MACHINES] = {"RiskManager": "RiskManager.exe --minimized"}
    program = TrayApp(look, Home(tmp_path), settings)
    other = TrayApp(look, Home(tmp_path / "demo"), settings)
    assert program._may_offer_autostart() is not installed
    assert not other._may_offer_autostart()
    for made in (program, other):
        made.tray.close()
        made.window.refresher.close()
        made.window.close()


def test_settings_when_home_is_a_demonstrations_leave_the_own_window_alone(
    look: QApplication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, "x", "x").fileName()
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(tmp_path / "config"))
    monkeypatch.setenv("RISK_MANAGER_HOME", str(tmp_path / "own"))
    try:
        own, demo = Settings.of(Home(tmp_path / "own")), Settings.of(Home(tmp_path / "demo"))
        own.page, own.account = "rules", 7
        demo.page, demo.account = "pnl", 101
        demo.set_geometry("trader", QByteArray(b"elsewhere"))
        own.sync()
        demo.sync()
        again = Settings.of(Home(tmp_path / "own"))
        assert (again.page, again.account, again.geometry("trader")) == ("rules", 7, None)
        assert Settings.of(Home(tmp_path / "another-demo")).page == "pnl"
        assert own.file != demo.file and own.file.is_file() and demo.file.is_file()
    finally:
        QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(Path(before).parents[1]))


@pytest.mark.parametrize(
    ("result", "last_error", "outcome"),
    [(42, 0, Outcome.STARTED), (5, 1223, Outcome.DECLINED), (2, 2, Outcome.FAILED), (0, 8, Outcome.FAILED)],
)
def test_elevation_when_windows_answers_is_understood(result: int, last_error: int, outcome: Outcome) -> None:
    judged, words = judge(result, last_error)
    assert judged is outcome
    assert bool(words) is (outcome is not Outcome.STARTED)


async def test_admin_when_windows_waits_for_an_answer_holds_up_nothing(
    look: QApplication, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered, asked = threading.Event(), []

    def question(home: Home) -> tuple[Outcome, str]:
        asked.append(threading.current_thread())
        answered.wait(10)
        return Outcome.DECLINED, "The question was answered with No."

    monkeypatch.setattr(elevation, "open_admin", question)
    program = TrayApp(look, Home(tmp_path), settings)
    said: list[str] = []
    monkeypatch.setattr(program, "_say", lambda title, words: said.append(words))
    try:
        program.tray.admin_asked.emit()
        await eventually(lambda: asked, 5, "the question")
        # Here the loop goes on; a second click asks nothing a second time.
        program.tray.admin_asked.emit()
        await asyncio.sleep(0.02)
        assert len(asked) == 1 and asked[0] is not threading.main_thread()
        answered.set()
        await eventually(lambda: said == ["The question was answered with No."], 5, "the answer")
    finally:
        answered.set()
        program.tray.close()
        program.window.refresher.close()
        program.window.close()


def test_elevation_when_declined_is_said_calmly() -> None:
    assert judge(5, 1223)[1] == "The admin window was not opened: the question of Windows was answered with No."


def test_elevation_when_installed_starts_the_fixed_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "RiskManager.exe"))
    program, arguments = elevation.admin_command(Home(tmp_path / "home"))
    assert program == str(tmp_path / "RiskManagerAdmin.exe")
    assert arguments == ["--home", str(tmp_path / "home")]


def test_elevation_when_key_can_not_be_read_says_which_file(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert str(home.admin_key) in elevation.without_rights(home)
