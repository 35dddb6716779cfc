"""The program's end, in a process of its own: exit code 0, nothing on stderr, nothing left running."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QThread

from gui.single_instance import server_name
from shared.paths import Home

ROOT = Path(__file__).parents[2]

DRIVER = """
import sys
from pathlib import Path
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from gui.app import main_loop
from gui.views.trader.window import TraderWindow
from shared.paths import Home

app = QApplication([])

def window():
    return next((w for w in app.topLevelWidgets() if isinstance(w, TraderWindow) and w.isVisible()), None)

def look():
    if window() is None:
        QTimer.singleShot(5, look)
    else:
        QTimer.singleShot(WAIT, act)

def act():
    ACTION

QTimer.singleShot(0, look)
sys.exit(main_loop(Home(Path(sys.argv[1]))))
"""


def _start(arguments: list[str], folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "XDG_CONFIG_HOME": str(folder / "settings")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def _ends_well(process: subprocess.Popen[str]) -> None:
    output, errors = process.communicate(timeout=60)
    # The platform without a screen says so when a window is to come to the front.
    said = [line for line in errors.splitlines() if line != "This plugin does not support raise()"]
    assert (process.returncode, output, said) == (0, "", [])


# The first wait is before the client's modules are loaded, the second while it tries to connect.
@pytest.mark.parametrize("wait_ms", [0, 700])
@pytest.mark.parametrize(
    "action",
    [
        pytest.param("app.quit()", id="desktop"),
        pytest.param("window().close()", id="window-closed"),
        pytest.param("QTimer.singleShot(0, app.quit); app.quit()", id="desktop-twice"),
        pytest.param("window().close(); app.quit()", id="both"),
    ],
)
def test_end_when_asked_is_clean(
    action: str, wait_ms: int, tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    code = DRIVER.replace("ACTION", action).replace("WAIT", str(wait_ms))
    started.append(_start(["-c", code, str(tmp_path)], tmp_path))
    _ends_well(started[0])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("wait_ms", [0, 700])
def test_end_when_signalled_is_clean(
    number: signal.Signals, wait_ms: int, tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    code = DRIVER.replace("ACTION", f"import os, signal; os.kill(os.getpid(), {int(number)})")
    started.append(_start(["-c", code.replace("WAIT", str(wait_ms)), str(tmp_path)], tmp_path))
    _ends_well(started[0])


def test_end_when_program_is_terminated_from_outside_is_clean(
    look: object, tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    from PySide6.QtNetwork import QLocalSocket

    process = _start(["-m", "gui", "--home", str(tmp_path)], tmp_path)
    started.append(process)
    socket = QLocalSocket()
    for _ in range(600):
        # It answers as soon as it is the one that runs, which is before its window is up.
        socket.connectToServer(server_name(Home(tmp_path), "trader"))
        if socket.waitForConnected(100):
            break
        assert process.poll() is None
        QThread.msleep(50)
    assert socket.state() == QLocalSocket.LocalSocketState.ConnectedState
    process.terminate()
    _ends_well(process)
