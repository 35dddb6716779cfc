"""The words of the command line: what is wrong is told in a sentence, and a stop leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from daemon.__main__ import main
from daemon.commands.replay import replay
from daemon.core.events import Tick
from gui.__main__ import main as gui_main
from shared.endpoint import EndpointError, read_endpoint
from tests.daemon.test_journal import recorded
from tests.scenarios.fork_server import ROOT
from tests.store.samples import NOW


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(words)
    out = capsys.readouterr()
    assert "Traceback" not in out.err
    return code, out.out + out.err


@pytest.mark.parametrize("port", ["99999", "-1", "x", "65536", "\N{SUPERSCRIPT TWO}"])
def test_port_when_there_is_no_such_is_bad_usage(capsys: pytest.CaptureFixture[str], port: str) -> None:
    code, text = said(capsys, "simulate", f"--port={port}")
    assert code == 2
    assert "is not a port; give a number from 0 to 65535" in text


def test_script_when_an_amount_is_none_names_the_place(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    script = tmp_path / "s.yaml"
    script.write_text("logins: [{username: a, api_key: b, accounts: [{id: 1, balance: x}]}]\nsteps: []\n")
    code, text = said(capsys, "simulate", "--script", str(script))
    assert (code, text) == (2, f"{script}: logins[0].accounts[0].balance: 'x' is not an amount of dollars.\n")
    code, text = said(capsys, "simulate", "--script", str(tmp_path))
    assert (code, text) == (2, f"{tmp_path}: cannot be read (Is a directory).\n")


def test_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(capsys, "--version")
    assert code == 0
    assert text.startswith("Risk Manager ") and text.split()[-1][0].isdigit()


def test_service_help_is_printed_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(capsys, "service", "--help")
    assert code == 0
    assert "uninstall" in text
    code, text = said(capsys, "service", "install", "--help")
    assert code == 0
    assert "--take-over" in text


@pytest.mark.parametrize("words", [["check"], ["run"], ["status"], ["replay", "2026-11-20"]])
def test_home_when_empty_is_bad_usage_and_never_another_home(
    capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    code, text = said(capsys, *words, "--home", "")
    assert code == 2
    assert "--home: is empty" in text


def test_status_without_a_daemon_is_one_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, text = said(capsys, "status", "--home", str(tmp_path))
    assert code == 1
    assert text.count("The daemon") == 1
    assert text.startswith("The daemon is not running: there is no ")
    with pytest.raises(EndpointError, match="is not running"):
        read_endpoint(tmp_path / "endpoint.json")


def test_window_without_a_display_is_a_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")  # the others always have one
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    assert gui_main(["--home", str(tmp_path)]) == 1
    assert "there is no display here" in capsys.readouterr().err


def test_replay_of_a_journal_that_is_cut_off_says_so_and_fails(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    recorded(tmp_path, *(Tick(NOW + second * 1_000_000) for second in range(50)))
    path = recorded(tmp_path, Tick(NOW + 60_000_000))  # after a restart
    whole = path.read_bytes()
    assert replay(str(path), None, None) == 0
    before = capsys.readouterr()
    assert before.err == ""
    path.write_bytes(whole[:-3])
    assert replay(str(path), None, None) == 1
    after = capsys.readouterr()
    assert "is cut off at byte" in after.err and "is missing" in after.err
    assert "decisions from" in after.out


def test_demo_when_terminated_leaves_no_folder_behind(tmp_path: Path) -> None:
    folder = tmp_path / "t"
    folder.mkdir()
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "daemon", "demo", "--headless"],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd=ROOT,
            env={**os.environ, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while "RULE-" not in log.read_text(errors="replace") and time.monotonic() < deadline:
            assert process.poll() is None, log.read_text(errors="replace")
            time.sleep(0.05)
        assert [path.name for path in folder.iterdir() if path.name.startswith("risk-manager-demo-")]
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 143, log.read_text(errors="replace")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)
    assert not [path.name for path in folder.iterdir() if path.name.startswith("risk-manager-demo-")]
    assert "Traceback" not in log.read_text(errors="replace")


def test_daemon_when_terminated_while_it_is_being_loaded_ends_with_0(tmp_path: Path) -> None:
    # Between the first line of `main` and the handlers of the daemon: the import of the command stands for it.
    program = (
        "import os, signal, sys\n"
        "import daemon.commands.run as command\n"
        "command.run = lambda home: os.kill(os.getpid(), signal.SIGTERM) or signal.pause()\n"
        "from daemon.__main__ import main\n"
        f"sys.exit(main(['run', '--home', {str(tmp_path)!r}]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
