"""The trading day's file of the journal: begun at the start and at each reset (docs/decisions/0102)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from daemon.core.decisions import DayChanged, Decision
from daemon.core.engine import Engine
from daemon.core.events import Event
from daemon.journal import Journal
from daemon.known_time import CLOCK_KEY
from daemon.lasting_thread import LastingThread
from daemon.snapshot import NO_RESET_BEFORE, events_of, state_of
from daemon.store.state import SavedState


class DayJournal:
    """A `Listener` of the dispatcher, whose `Recorder` is the journal itself.

    `no_reset_before`: see `daemon.configuration.ConfigurationService`.
    """

    def __init__(self, journal: Journal, engine: Engine, no_reset_before: Callable[[], int]) -> None:
        self._journal = journal
        self._engine = engine
        self._no_reset_before = no_reset_before
        self._day = ""

    @property
    def thread(self) -> LastingThread:
        """The thread that writes the journal."""
        return self._journal.thread

    def begin(self, state: SavedState) -> None:
        """Begin the file of the present trading day with what is known; `state` must not be changed afterwards."""
        now = self._engine.now
        kept = {CLOCK_KEY: state.daemon.get(CLOCK_KEY), NO_RESET_BEFORE: self._no_reset_before()}
        self._day = self._engine.days.name(now)
        self._journal.start(self._day, self._engine.config, self._engine.calendar, replace(state, daemon=kept), now)

    def happened(self, event: Event) -> None:
        """See `daemon.dispatcher.Listener`."""

    def decided(self, decision: Decision) -> None:
        """See `daemon.dispatcher.Listener`: a trading day gets a file, with all that is known at its start."""
        if isinstance(decision, DayChanged) and self._engine.days.name(self._engine.now) != self._day:
            self.begin(state_of(self._engine))
            for event in events_of(self._engine):
                self._journal.append(event)
