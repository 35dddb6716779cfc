"""One tray a user: the second start tells the first to show its window, and ends."""

from __future__ import annotations

import getpass
import hashlib

from PySide6.QtCore import QObject, Signal
from PySide6.QtNetwork import QLocalServer, QLocalSocket

from shared.paths import Home

ANSWER_MS = 1_000


def server_name(home: Home, role: str) -> str:
    """A name for this user, this home and this role ("trader", "admin"): another user's tray is another one."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    digest = hashlib.sha256(f"{user}\n{home.root}".encode()).hexdigest()[:16]
    return f"riskmanager-{role}-{digest}"


class SingleInstance(QObject):
    """`raised` when another start asked this one to come to the front."""

    raised = Signal()

    def __init__(self, name: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._name = name
        self._server: QLocalServer | None = None

    def acquire(self) -> bool:
        """True: this is the first. False: there is one already, and it was asked to show itself."""
        if self._ask_other():
            return False
        server = QLocalServer(self)
        server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        server.newConnection.connect(self._called)
        if not server.listen(self._name):
            # Left behind by one that was killed: nobody answered, so it is safe to take.
            QLocalServer.removeServer(self._name)
            if not server.listen(self._name):
                # Two windows are better than none.
                return True
        self._server = server
        return True

    def _ask_other(self) -> bool:
        socket = QLocalSocket()
        socket.connectToServer(self._name)
        if not socket.waitForConnected(ANSWER_MS):
            return False
        socket.write(b"raise\n")
        socket.waitForBytesWritten(ANSWER_MS)
        socket.disconnectFromServer()
        return True

    def _called(self) -> None:
        while self._server is not None:
            socket = self._server.nextPendingConnection()
            if socket is None:
                return
            socket.disconnected.connect(socket.deleteLater)
            self.raised.emit()

    def release(self) -> None:
        """Let go of the name."""
        if self._server is not None:
            self._server.close()
            self._server = None
