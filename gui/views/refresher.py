"""Gathers changes: a burst of quotes repaints at most seven times a second, what is urgent is shown at once."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Signal

from gui.app_state import URGENT_TOPICS, AppState, Change

INTERVAL_MS = 150


class Refresher(QObject):
    """`refreshed` with a frozenset of `Change`s. `tick` twice a second while somebody looks (`set_watching`)."""

    refreshed = Signal(object)
    tick = Signal()

    def __init__(self, state: AppState, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._dirty: set[Change] = set()
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(INTERVAL_MS)
        self._later.timeout.connect(self.flush)
        self._now = QTimer(self)
        self._now.setSingleShot(True)
        self._now.setInterval(0)
        self._now.timeout.connect(self.flush)
        self._clock = QTimer(self)
        self._clock.setInterval(500)
        self._clock.timeout.connect(self.tick)
        self._stop = state.listen(self._changed)

    def set_watching(self, watching: bool) -> None:
        """Whether anybody looks: without it no clock ticks."""
        if watching and not self._clock.isActive():
            self._clock.start()
        elif not watching:
            self._clock.stop()

    def close(self) -> None:
        """Listen no more."""
        self._stop()
        for timer in (self._later, self._now, self._clock):
            timer.stop()

    def _changed(self, change: Change) -> None:
        self._dirty.add(change)
        if change.topic in URGENT_TOPICS:
            if not self._now.isActive():
                self._now.start()
        elif not self._later.isActive():
            self._later.start()

    def flush(self) -> None:
        """Hand out what has gathered."""
        self._later.stop()
        self._now.stop()
        if self._dirty:
            changes, self._dirty = frozenset(self._dirty), set()
            self.refreshed.emit(changes)
