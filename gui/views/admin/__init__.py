"""The admin window. `run` is what `gui.app` calls."""

from __future__ import annotations

import asyncio
import contextlib
import time

from PySide6.QtWidgets import QApplication

from gui.admin_session import AdminSession
from gui.app_state import AppState
from gui.client import DaemonClient
from gui.settings import Settings
from gui.single_instance import SingleInstance
from gui.state_reader import StateReader
from gui.views.admin.page import AdminContext
from gui.views.admin.window import AdminWindow
from gui.views.frame import to_front
from shared.paths import Home


async def run(app: QApplication, home: Home, settings: Settings, instance: SingleInstance) -> None:
    """Show the window until it is closed."""
    state = AppState(time.monotonic)
    client = DaemonClient(home, state, StateReader(home))
    session = AdminSession(home, client.rpc)
    window = AdminWindow(AdminContext(state, session, client, settings))
    done = asyncio.Event()

    window.closed.connect(done.set)
    instance.raised.connect(lambda: to_front(window))
    app.setQuitOnLastWindowClosed(False)
    app.aboutToQuit.connect(done.set)
    window.show()
    client.start()
    session.start()
    try:
        await done.wait()
    finally:
        window.end()
        with contextlib.suppress(asyncio.CancelledError):
            await session.close()
            await client.close()
        settings.sync()
