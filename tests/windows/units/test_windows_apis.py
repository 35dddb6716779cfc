"""Our calls into Windows, on the real Windows Python: rights, registry, keyring, event log, processes, blocking."""

from __future__ import annotations

import ctypes
import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from contextlib import closing
from pathlib import Path, PureWindowsPath

import keyring
import pytest
from keyring.backends.Windows import WinVaultKeyring

from daemon.windows import registry, service
from daemon.windows.event_log import Entry, EventLog
from daemon.windows.execution import Executor, run
from daemon.windows.probe import default_target, gather, nssm_path, program_version, running_program
from daemon.windows.refusals import NSSM_SHA256
from daemon.windows.steps import DeleteProgramLater, SetRegistry, Step
from shared.paths import Home, find_home

assert sys.platform == "win32"

from daemon.windows import acl, process_api  # noqa: E402  # they exist on Windows only


def test_home_when_nothing_is_said_is_below_programdata(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RISK_MANAGER_HOME", raising=False)

    assert find_home().root == Path(os.environ["PROGRAMDATA"]) / "RiskManager"
    assert PureWindowsPath(os.environ["PROGRAMFILES"]) in default_target().parents


def test_private_folder_when_made_exists_and_is_not_made_twice(tmp_path: Path) -> None:
    folder = tmp_path / "Risk Manager"
    acl.create_private_folder(folder)
    (folder / "file").write_text("we may write")

    with pytest.raises(FileExistsError):
        acl.create_private_folder(folder)


def test_owner_when_asked_is_a_security_identifier(tmp_path: Path) -> None:
    assert acl.owner_of(tmp_path).startswith("S-1-5-")
    with pytest.raises(FileNotFoundError):
        acl.owner_of(tmp_path / "missing")


def test_administrator_when_asked_agrees_with_the_shell() -> None:
    assert acl.is_administrator() is bool(ctypes.windll.shell32.IsUserAnAdmin())


def test_facts_when_gathered_say_what_is_there(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    facts = gather(home, PureWindowsPath(tmp_path / "program"))

    assert facts.windows_version >= (10, 0)
    assert facts.nssm_sha256 == NSSM_SHA256
    assert not facts.home_exists
    assert facts.home_problem is None
    assert facts.version == program_version()
    assert facts.running == running_program()
    assert not facts.service_exists
    assert (Path(facts.scripts) / "register.cmd").exists()


def test_registry_when_set_is_read_back_and_deleted() -> None:
    key = rf"SOFTWARE\RiskManagerTest-{uuid.uuid4()}"
    registry.set_value(SetRegistry(key, "path", r"%SystemRoot%\x", expand=True))
    registry.set_value(SetRegistry(key, None, "Service"))
    registry.set_value(SetRegistry(key, "number", 7))
    assert [registry.value(key, name) for name in ("path", None, "number")] == [r"%SystemRoot%\x", "Service", "7"]
    registry.delete(key, "number")
    assert registry.value(key, "number") is None
    for _ in range(2):  # the second time there is nothing to delete
        registry.delete(key, None)
        registry.delete(key, "number")

    assert registry.value(key, "path") is None


def test_keyring_when_a_key_is_stored_gives_it_back() -> None:
    assert isinstance(keyring.get_keyring(), WinVaultKeyring) or "chainer" in type(keyring.get_keyring()).__module__
    vault, user = WinVaultKeyring(), f"test-{uuid.uuid4()}"
    vault.set_password("RiskManager", user, "x" * 1280)
    try:
        assert vault.get_password("RiskManager", user) == "x" * 1280
    finally:
        vault.delete_password("RiskManager", user)
    assert vault.get_password("RiskManager", user) is None


def test_event_log_when_written_on_windows_does_not_raise() -> None:
    log = EventLog()
    for entry in Entry:
        log.write(entry, "A test of Risk Manager's event log.")
    log.close()

    assert log.dropped == 0


def test_process_when_asked_for_its_parent_and_name_tells_them() -> None:
    code = (
        "from daemon.windows import process_api as api; me = api.current_process(); parent = api.parent_of(me); "
        "handle = api.open_process(parent, api.QUERY_LIMITED_INFORMATION); "
        "print(parent, api.image_name(me), api.created(handle) <= api.created(me), flush=True)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=110, check=True)

    assert done.stdout.split() == [str(os.getpid()), Path(sys.executable).name, "True"]
    assert process_api.open_process(0x7FFF_FFFC, process_api.SYNCHRONIZE) is None


def test_interrupt_when_handled_by_signal_signal_arrives() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)

    assert seen == [signal.SIGINT]


def test_command_when_a_program_writes_is_read_through_a_file() -> None:
    assert run(["cmd.exe", "/d", "/c", "echo one two& exit 3"]) == (3, "one two")
    assert run([str(nssm_path()), "status", "NoSuchServiceOfOurs"])[0] == 3


def test_database_when_a_reader_opened_it_without_sharing_can_not_be_opened(tmp_path: Path) -> None:
    # Why users may not read the daemon's files at all, and why nothing depends on the replica.
    path = tmp_path / "view.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)")
    open_file = ctypes.windll.kernel32.CreateFileW
    open_file.restype = ctypes.c_void_p
    handle = open_file(str(path), 0x8000_0000, 0, None, 3, 0, None)
    try:
        with pytest.raises(sqlite3.OperationalError), closing(sqlite3.connect(path)) as connection:
            connection.execute("SELECT * FROM t")
    finally:
        ctypes.windll.kernel32.CloseHandle(ctypes.c_void_p(handle))


def test_service_when_not_installed_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert service.main(["status", "--home", str(tmp_path)]) == 1
    assert "not installed" in capsys.readouterr().out
    assert service.main(["start", "--home", str(tmp_path)]) == 1
    assert "riskd service install" in capsys.readouterr().err
    assert service.main(["stop", "--home", str(tmp_path)]) == 0
    assert service.main(["no-such-command"]) == 2
    assert service.main(["install", "--help"]) == 0


def test_ctrl_c_when_another_library_took_the_signal_still_calls_back() -> None:
    code = (
        "import ctypes, signal, threading, sys\n"
        "from daemon.windows.console_stop import on_ctrl_c\n"
        "asked = threading.Event()\n"
        "assert on_ctrl_c(asked.set)\n"
        "signal.signal(signal.SIGINT, lambda *_: sys.exit(9))\n"
        "ctypes.windll.kernel32.GenerateConsoleCtrlEvent(0, 0)\n"
        "print('asked' if asked.wait(20) else 'not asked', flush=True)\n"
    )
    flags = subprocess.CREATE_NEW_CONSOLE
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=110, check=True, creationflags=flags
    )

    assert done.stdout.split() == ["asked"]


def test_program_folder_when_deleted_later_is_gone_after_the_program_ended(tmp_path: Path) -> None:
    folder = tmp_path / "Risk Manager"
    (folder / "daemon").mkdir(parents=True)
    (folder / "daemon" / "riskd.exe").write_bytes(b"program")
    with (folder / "daemon" / "still open").open("w"):  # as riskd.exe itself is while it uninstalls
        Executor(lambda line: None, lambda program: "", lambda: "").carry_out(
            [Step("Delete the program", "", (DeleteProgramLater(folder),))]
        )
        time.sleep(3)
        assert folder.exists()
    deadline = time.monotonic() + 60
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.1)

    assert not folder.exists()
