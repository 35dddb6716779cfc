"""Without a daemon each reader is told what he can do: a trader has nothing to type that needs an administrator."""

from __future__ import annotations

from pathlib import PureWindowsPath

import pytest

from daemon.windows.acl import SERVICE_SDDL
from daemon.windows.steps import SERVICE
from gui import no_daemon
from gui.no_daemon import advice

FOLDER = PureWindowsPath(r"C:\Program Files\Risk Manager")


def test_advice_when_the_service_is_there_tells_the_trader_and_then_the_administrator() -> None:
    said = advice(windows=True, installed=True, folder=FOLDER)
    trader, ask, administrator = said.steps

    assert "restart the computer" in trader
    assert "ask the administrator" in ask and no_daemon.DISPLAY_NAME in ask
    assert administrator.startswith("The administrator types") and "Run as administrator" in administrator
    assert said.command == rf'"{FOLDER}\riskd.cmd" service start', "riskd is on nobody's path"


def test_advice_when_it_is_not_installed_says_how_to_install() -> None:
    said = advice(windows=True, installed=False, folder=FOLDER)

    assert "install" in said.steps[0]
    assert said.command == rf'"{FOLDER}\install.cmd"'


@pytest.mark.parametrize(("installed", "command"), [(True, "riskd service start"), (False, "riskd service install")])
def test_advice_when_run_from_source_has_no_folder_to_name(installed: bool, command: str) -> None:
    assert advice(windows=True, installed=installed, folder=None).command == command


@pytest.mark.parametrize("installed", [True, False])
def test_demo_when_on_windows_is_started_where_a_trader_may_start_it(installed: bool) -> None:
    # The installed riskd is closed to users; the one that was unpacked is not.
    assert "unpacked from the zip" in advice(windows=True, installed=installed, folder=FOLDER).demo


def test_advice_when_elsewhere_is_to_start_the_daemon() -> None:
    assert advice(windows=False, installed=False, folder=None).command == "riskd run"


def test_service_when_named_here_is_the_one_that_the_installer_registers() -> None:
    assert no_daemon.SERVICE == SERVICE
    assert ";;;AU)" in SERVICE_SDDL, "every user may ask for it"
