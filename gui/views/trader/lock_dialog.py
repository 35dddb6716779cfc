"""'Lock me': the trader's only command, confirmed once, said to be final."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from PySide6.QtCore import Qt, QTime
from PySide6.QtWidgets import QButtonGroup, QDialog, QLineEdit, QRadioButton, QTimeEdit, QWidget

from gui.app_state import AccountView, AppState
from gui.commands import CommandError, Commands
from gui.views.tokens import GRID, Tone
from gui.views.widgets.banner import Banner
from gui.views.widgets.basic import Button, hbox, label, padded, set_text, vbox


class LockChoice(StrEnum):
    """How long."""

    QUARTER = "15 minutes"
    HOUR = "1 hour"
    RESET = "Until the reset"
    TIME = "Until a time"


@dataclass(frozen=True, slots=True)
class LockRequest:
    """What is sent: minutes from now, or an end (UTC)."""

    minutes: int | None
    until: datetime | None


def next_occurrence(hour: int, minute: int, state: AppState) -> datetime | None:
    """The next time it is that time of day in the zone of the reset; None while trusted time is not known."""
    now = state.clock.now()
    if now is None:
        return None
    local = state.calendar.local(now)
    candidate = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if candidate <= local:
        candidate = (local + timedelta(days=1)).replace(hour=hour, minute=minute, second=0, microsecond=0)
    return candidate


def request_for(choice: LockChoice, view: AccountView, state: AppState, at: tuple[int, int]) -> LockRequest | None:
    """The command for a choice; None when it can't be made now (no reset known, no trusted time)."""
    if choice is LockChoice.QUARTER:
        return LockRequest(15, None)
    if choice is LockChoice.HOUR:
        return LockRequest(60, None)
    end = view.pnl.next_reset if choice is LockChoice.RESET else next_occurrence(*at, state)
    return None if end is None else LockRequest(None, end)


class LockDialog(QDialog):
    """Chooses how long and confirms in one step. Stays open with the reason when the daemon refuses."""

    def __init__(
        self,
        state: AppState,
        commands: Commands,
        account_id: int,
        choice: LockChoice = LockChoice.QUARTER,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._state, self._commands, self._account_id = state, commands, account_id
        self.setModal(True)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        view = state.accounts[account_id]
        self.setWindowTitle(f"Lock {view.account.name}")
        self._group = QButtonGroup(self)
        self._radios: dict[LockChoice, QRadioButton] = {}
        choices = vbox(spacing=2)
        for option in LockChoice:
            radio = QRadioButton(self._words(option, view))
            radio.toggled.connect(self._update)
            self._group.addButton(radio)
            self._radios[option] = radio
            choices.addWidget(radio)
        self.time = QTimeEdit(QTime(17, 0))
        self.time.setDisplayFormat("HH:mm")
        padded(self.time)
        self.time.setAccessibleName(f"Time of day, {state.calendar.zone_name}")
        self.time.timeChanged.connect(self._update)
        self._zone = label(f"{state.calendar.zone_name} time", "muted")
        self._time_row = QWidget()
        self._time_row.setLayout(hbox(self.time, self._zone, None, margins=(28, 0, 0, 0)))
        choices.addWidget(self._time_row)
        self.reason = QLineEdit()
        self.reason.setMaxLength(200)
        self.reason.setPlaceholderText("Optional, for your own log")
        self.reason.setAccessibleName("Reason")
        self.warning = Banner()
        self.error = label("", wrap=True, tone=Tone.NEGATIVE.value)
        self.error.hide()
        self.confirm = Button("Lock", "lock", role="danger", on_click=self._send)
        self.cancel = Button("Do not lock", on_click=self.reject)
        self.setLayout(
            vbox(
                label(f"Lock {view.account.name}", "title"),
                label("How long?", "caption"),
                choices,
                GRID,
                label("Reason", "caption"),
                self.reason,
                GRID,
                self.warning,
                self.error,
                GRID,
                hbox(None, self.cancel, self.confirm, spacing=GRID + 4),
                margins=(24, 20, 24, 20),
            )
        )
        self.setMinimumWidth(520)
        self._radios[choice].setChecked(True)
        self._radios[LockChoice.RESET].setEnabled(view.pnl.next_reset is not None)
        self._update()
        self.cancel.setFocus()

    def _words(self, option: LockChoice, view: AccountView) -> str:
        if option is LockChoice.RESET and view.pnl.next_reset is not None:
            end = self._state.calendar.until(view.pnl.next_reset, self._state.clock.now())
            return f"Until the reset, {end}"
        return option.value

    @property
    def choice(self) -> LockChoice:
        return next(option for option, radio in self._radios.items() if radio.isChecked())

    def _request(self) -> LockRequest | None:
        view = self._state.view(self._account_id)
        if view is None:
            return None
        at = self.time.time()
        return request_for(self.choice, view, self._state, (at.hour(), at.minute()))

    def _update(self) -> None:
        view = self._state.view(self._account_id)
        if view is None or not any(radio.isChecked() for radio in self._radios.values()):
            return
        self._time_row.setVisible(self.choice is LockChoice.TIME)
        request = self._request()
        if request is None:
            end = ""
        elif request.until is not None:
            end = f"until {self._state.calendar.until(request.until, self._state.clock.now())}"
        else:
            end = f"for {self.choice.value}"
        self.confirm.setEnabled(request is not None)
        self.confirm.setText(f"Lock {end}".strip())
        self.confirm.setAccessibleName(f"Lock {view.account.name} {end}, this can't be undone")
        self.warning.say(Tone.WARNING, "triangle-alert", "You can't undo this", consequences(view))
        # A row that appears must not squeeze the text above it.
        self.adjustSize()

    def _send(self) -> None:
        request = self._request()
        if request is None:
            return
        self.confirm.setEnabled(False)
        self.error.hide()
        self._commands.spawn(self._lock(request))

    async def _lock(self, request: LockRequest) -> None:
        try:
            await self._commands.lock_account(
                self._account_id, minutes=request.minutes, until=request.until, reason=self.reason.text().strip()
            )
        except CommandError as error:
            set_text(self.error, str(error))
            self.error.show()
            self.confirm.setEnabled(True)
            self.adjustSize()
            return
        self.accept()


def consequences(view: AccountView) -> str:
    """What locking does at once, with what is open now."""
    held = len(view.positions or ())
    working = len(view.orders or ())
    parts = []
    if held:
        parts.append("your open position" if held == 1 else f"your {held} open positions")
    closed = f"{' and '.join(parts).capitalize()} will be closed at market now" if parts else ""
    if working:
        orders = "your working order" if working == 1 else f"all {working} working orders"
        closed = f"{closed}, {orders} cancelled" if closed else f"{orders.capitalize()} will be cancelled now"
    lead = f"{closed}. " if closed else ""
    return (
        f"{lead}Until then everything new is closed and cancelled, from any device. "
        "Only time ends the lock, or your administrator under the firm's policy."
    )
