"""The service: how the daemon fares, how its last runs ended, and starting and stopping it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from PySide6.QtWidgets import QGridLayout

from gui import wording
from gui.admin_service import can_control, run_service, service_command
from gui.admin_session import AdminError
from gui.models.table import Column, TableModel
from gui.records import moment
from gui.views.admin.dialogs import Ask
from gui.views.admin.page import AdminContext, AdminPage, rows_of
from gui.views.tokens import GRID, Tone
from gui.views.widgets.basic import Button, Card, EmptyState, hbox, label, restyle, set_text, vbox
from gui.views.widgets.table import DataTable, TableOrEmpty

Row = Mapping[str, Any]
FIGURES = (
    ("status", "State"),
    ("uptime", "Running for"),
    ("version", "Version"),
    ("memory", "Memory"),
    ("cpu", "Processor"),
    ("queue", "Waiting decisions"),
    ("clock", "Clock"),
    ("accounts", "Accounts"),
    ("recording", "Recording the day"),
    ("pid", "Process"),
)


class ServicePage(AdminPage):
    """Figures are fetched anew every few seconds while the page is on screen."""

    key = "service"
    title = "Service"
    icon_name = "server"
    topics = frozenset({"link"})

    def __init__(self, admin: AdminContext) -> None:
        super().__init__(admin)
        self._ticks = 0
        self._running: asyncio.Task[None] | None = None
        self.figures = {}
        grid = QGridLayout()
        grid.setHorizontalSpacing(4 * GRID)
        grid.setVerticalSpacing(2 * GRID)
        for number, (key, words) in enumerate(FIGURES):
            value = label(wording.UNKNOWN, "heading")
            value.setAccessibleName(words)
            self.figures[key] = value
            grid.addLayout(vbox(label(words, "caption"), value, spacing=2), number // 5, number % 5)
        for column in range(5):
            grid.setColumnStretch(column, 1)
        now = Card("Daemon")
        now.body.addLayout(grid)
        self.home = label("", "muted", wrap=True)
        now.body.addWidget(self.home)

        control = Card("Control")
        self.start = Button("Start", "play", on_click=lambda: self._service("start"))
        self.restart = Button("Restart…", "rotate-cw", on_click=self._ask_restart)
        self.stop = Button("Stop…", "square", role="danger", on_click=self._ask_stop)
        self.install = Button(
            "Install", "download", on_click=lambda: self.work(self._run_with_factor("install", []), busy=self.install)
        )
        self.uninstall = Button("Uninstall…", "trash-2", role="danger", on_click=self._ask_uninstall)
        self.give_up = Button("Cancel", "x", on_click=self._give_up)
        self.give_up.hide()
        control.body.addLayout(
            hbox(self.start, self.restart, self.stop, None, self.give_up, self.install, self.uninstall, spacing=GRID)
        )
        self.control_words = label("", "muted", wrap=True)
        control.body.addWidget(self.control_words)
        self.runs = TableModel[Row](
            [
                Column("Started", lambda row: self.state.calendar.stamp(moment(row["started_at"]))),
                Column("Ended", self._ended),
                Column("How it ended", lambda row: wording.sentence_case(str(row["reason"])), tone=self._tone,
                       icon=self._icon, stretch=True),
                Column("Process", lambda row: str(row["pid"]), right=True),
            ],
            lambda row: (row["started_at"], row["pid"]),
        )  # fmt: skip
        self.runs_table = DataTable(self.runs, "Last runs", sortable=False)
        self.runs_table.setMinimumHeight(180)
        history = Card("Last runs")
        history.body.addWidget(TableOrEmpty(self.runs_table, EmptyState("history", "No run is noted yet")), 1)
        self.body.addWidget(now)
        self.body.addWidget(control)
        self.body.addWidget(history, 1)
        self._show_control()

    async def load(self) -> None:
        info = await self.session.call("get_service_info")
        tones = {"healthy": Tone.POSITIVE, "degraded": Tone.WARNING, "stopping": Tone.WARNING}
        status = str(info["status"])
        self._figure("status", status.capitalize(), tones.get(status, Tone.NEUTRAL))
        self._figure("uptime", wording.duration(float(info["uptime"]), seconds=False))
        self._figure("version", str(info["version"]))
        memory = float(info["memory_usage_mb"])
        self._figure("memory", f"{memory:.0f} MB", Tone.WARNING if memory > 500 else Tone.NEUTRAL)
        self._figure("cpu", f"{float(info['cpu_usage_percent']):.1f} %")
        queue = int(info["queue_depth"])
        self._figure("queue", str(queue), Tone.WARNING if queue > 100 else Tone.NEUTRAL)
        suspect = bool(info["clock_suspect"])
        self._figure("clock", "Suspect" if suspect else "Agrees", Tone.WARNING if suspect else Tone.NEUTRAL)
        accounts = info["accounts"]
        connected = sum(1 for row in accounts.values() if row["connected"])
        self._figure(
            "accounts", f"{connected} of {len(accounts)}", Tone.NEUTRAL if connected == len(accounts) else Tone.WARNING
        )
        self._figure("recording", "Yes" if info["recording"] else "Not yet")
        self._figure("pid", str(info["pid"]))
        set_text(self.home, f"Home folder: {info['home']}. Times are {self.state.calendar.zone_name} time.")
        if suspect:
            self.say(
                Tone.WARNING,
                "clock",
                "The computer's clock does not agree with the broker's",
                "Lockouts follow the broker's time and end no sooner. Have the computer's clock set right.",
            )
        self.runs.set_rows(rows_of(info["runs"]))
        self._show_control()

    def tick(self) -> None:
        self._ticks += 1
        if self._ticks % 6 == 0 and not self.busy:
            self.refresh_all()

    def _figure(self, key: str, words: str, tone: Tone = Tone.NEUTRAL) -> None:
        set_text(self.figures[key], words)
        restyle(self.figures[key], tone="" if tone is Tone.NEUTRAL else tone.value)

    def _ended(self, row: Row) -> str:
        at = moment(row["ended_at"])
        return "runs now" if at is None and row["reason"] == "running" else self.state.calendar.stamp(at)

    @staticmethod
    def _tone(row: Row) -> str | None:
        return Tone.POSITIVE if row["reason"] == "running" else None if row["clean"] else Tone.WARNING

    @staticmethod
    def _icon(row: Row) -> str | None:
        return "play" if row["reason"] == "running" else "square" if row["clean"] else "triangle-alert"

    # ---- control

    def _show_control(self) -> None:
        windows = can_control()
        for button in (self.start, self.install, self.uninstall):
            button.setEnabled(windows and self._running is None)
        if windows:
            words = "The service starts with the computer. Stopped, nothing watches the accounts."
        else:
            words = (
                "Here the daemon was started with riskd run; start it the same way. "
                "Installing a service is for Windows. Stopped, nothing watches the accounts."
            )
        set_text(self.control_words, words)

    def _ask_stop(self) -> None:
        self.work(self._stop(), busy=self.stop)

    async def _stop(self) -> None:
        locked = sum(1 for view in self.state.accounts.values() if view.locked)
        open_now = sum(len(view.positions or ()) for view in self.state.accounts.values())
        reason = await Ask(
            self,
            "Stop the daemon?",
            f"Accounts locked now: {locked}. Open positions now: {open_now}. While the daemon is stopped no rule is "
            "enforced and no lockout holds.",
            yes="Stop: nothing is protected",
            danger=True,
            icon_name="square",
            # The service manager takes no reason, so none is asked for there.
            field="" if can_control() else "Reason",
        ).ask()
        if reason is None:
            return
        if can_control():
            await self._run_with_factor("stop", [])
            return
        await self.session.call("stop_daemon", {"reason": reason})
        self.say(
            Tone.WARNING, "shield-off", "The daemon stops", "Nothing watches the accounts until it is started again."
        )

    def _ask_restart(self) -> None:
        self.work(self._restart(), busy=self.restart)

    async def _restart(self) -> None:
        answer = await Ask(
            self,
            "Restart the daemon?",
            "It works off what waits, ends, and is started again by the service. For a few seconds nothing is watched; "
            "lockouts go on.",
            yes="Restart",
            icon_name="rotate-cw",
        ).ask()
        if answer is None:
            return
        await self.session.call("stop_daemon", {"reason": "restart"})
        self.say(Tone.ACCENT, "rotate-cw", "The daemon restarts", "This window connects again by itself.")

    def _ask_uninstall(self) -> None:
        self.work(self._uninstall(), busy=self.uninstall)

    async def _uninstall(self) -> None:
        answer = await Ask(
            self,
            "Uninstall the service?",
            "The program and the service are removed; configuration, state and logs stay. Nothing watches the accounts "
            "from then on.",
            yes="Uninstall and keep the data",
            danger=True,
            icon_name="trash-2",
        ).ask()
        if answer is None:
            return
        await self._run_with_factor("uninstall", ["--keep-data"])

    async def _run_with_factor(self, action: str, options: list[str]) -> None:
        """Run it with the code of the second factor where one is enrolled; without the code nothing is done."""
        try:
            factor = await self.session.call("get_second_factor")
            # While the daemon reads its key store nobody knows; riskd waits for it, and says so if it takes long.
            self.session.factor_enrolled = bool(factor["enrolled"]) and not factor["reading"]
        except AdminError:
            pass  # it does not answer: riskd finds out by itself what stands against it
        if self.session.factor_enrolled and self.session.ask_code is not None:
            code = await self.session.ask_code("")
            if code is None:
                return
            options = [*options, "--second-factor", code]
        await self._run(action, options)

    def _service(self, action: str) -> None:
        self.work(self._run(action, []))

    async def _run(self, action: str, options: list[str]) -> None:
        self._running = asyncio.current_task()
        self.give_up.show()
        self._show_control()
        try:
            code, words = await run_service(service_command(action, self.session.home, options))
        except OSError as error:
            self.say_error(f"riskd could not be started: {error.strerror or error}.")
            return
        except asyncio.CancelledError:
            self.say(Tone.WARNING, "x", "Cancelled", "Look at the state of the service before you go on.")
            return
        finally:
            self._running = None
            self.give_up.hide()
            self._show_control()
        if code == 0:
            self.say_done(f"{action.capitalize()} is done", words)
        else:
            self.say_error(words or f"riskd service {action} ended with code {code}.")

    def _give_up(self) -> None:
        if self._running is not None:
            self._running.cancel()
