"""Overview of one account: the day's figures, the limits that are nearest, what is open, what happened last."""

from __future__ import annotations

from datetime import datetime

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QWidget

from gui import wording
from gui.app_state import AccountView
from gui.models.positions import positions_model
from gui.records import DeskTime, Rule
from gui.views.page import Context, Page
from gui.views.tokens import GRID, SIZE_FIGURE, Tone
from gui.views.widgets.basic import Card, EmptyState, IconLabel, hbox, label, scrolled, set_text, vbox
from gui.views.widgets.figure import Figure, ShareBar
from gui.views.widgets.table import ROW_HEIGHT, DataTable, TableOrEmpty

RULES_SHOWN = 5
EVENTS_SHOWN = 6
WIDE = 860


class Tile(Card):
    """A caption, a figure, a line below."""

    def __init__(self, caption: str) -> None:
        super().__init__(padding=14, spacing=2)
        self.caption = label(caption, "caption")
        self.figure = Figure(caption, size=SIZE_FIGURE)
        self.note = label("", "caption")
        for words in (self.caption, self.note):
            # The figure keeps 4 px for the ground that lights up.
            words.setContentsMargins(4, 0, 0, 0)
        for part in (self.caption, self.figure, self.note):
            self.body.addWidget(part)
        self.setAccessibleName(caption)


class LimitRow(QWidget):
    """A rule's title, its value against its limit, and the bar of the share used."""

    def __init__(self) -> None:
        super().__init__()
        self.title = label("", "strong")
        self.value = label("", "muted")
        self.bar = ShareBar("")
        self.share = label("", "strong")
        self.share.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.share.setFixedWidth(48)
        self.setLayout(
            vbox(hbox(self.title, None, self.value), hbox(self.bar, self.share, spacing=GRID + 4), spacing=4)
        )

    def show_rule(self, rule: Rule) -> None:
        set_text(self.title, rule.title)
        set_text(self.value, value_of_limit(rule))
        set_text(self.share, "–" if rule.share is None else f"{rule.share:.0%}")
        self.bar.set_name(rule.title)
        self.bar.set_share(rule.share, rule.strain)


VALUE_SAYS_ALL = frozenset(
    {"no_stop_loss_grace", "auth_loss_guard", "symbol_blocks", "trade_management", "scheduled_flatten"}
)
"""Rules whose limit the sentence beside them tells already, and whose value is words."""


def value_of_limit(rule: Rule) -> str:
    """ "−320.00 of −500.00 USD"; what is known of it."""
    if rule.key in VALUE_SAYS_ALL and rule.value:
        words = wording.typographic(rule.value)
        return words[:1].upper() + words[1:]
    unit = f" {rule.unit}" if rule.unit else ""
    value, limit = wording.typographic(rule.value), wording.typographic(rule.limit)
    if value and limit:
        # "5 of 10 entries" reads well, "all protected of 10 s" does not.
        counted = value[-1].isdigit() and limit[:1] in "+\u22120123456789$"
        words = f"{value} of {limit}{unit}" if counted else f"{value}, {limit}{unit}"
        return words[:1].upper() + words[1:]
    return f"{value or limit}{unit}".strip()


class EventRow(QWidget):
    """One line of what happened last: icon, words, time."""

    def __init__(self) -> None:
        super().__init__()
        self.icon = IconLabel("info")
        self.words = label("", wrap=True)
        self.time = label("", "caption")
        row = hbox(self.icon, self.words, self.time, spacing=GRID + 4)
        row.setStretch(1, 1)
        row.setAlignment(self.icon, Qt.AlignmentFlag.AlignTop)
        row.setAlignment(self.time, Qt.AlignmentFlag.AlignTop)
        self.setLayout(row)

    def show_event(self, icon_name: str, tone: Tone, words: str, at: str) -> None:
        self.icon.set_icon(icon_name, tone)
        set_text(self.words, words)
        set_text(self.time, at)


class OverviewPage(Page):
    """See the module."""

    key = "overview"
    title = "Overview"
    icon_name = "layout-dashboard"
    topics = frozenset(
        {
            "status",
            "accounts",
            "pnl",
            "positions",
            "rules",
            "enforcement",
            "warnings",
            "desk",
            "lockouts",
            "link",
            "day",
        }
    )

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.realized = Tile("Realized today")
        self.unrealized = Tile("Unrealized")
        self.total = Tile("Day total")
        self.balance = Tile("Balance")
        self._tiles = (self.realized, self.unrealized, self.total, self.balance)
        self._tile_grid = QGridLayout()
        self._tile_grid.setSpacing(2 * GRID)
        self._columns = 0

        self.limits = Card("Closest limits")
        self._limit_rows = [LimitRow() for _ in range(RULES_SHOWN)]
        for row in self._limit_rows:
            self.limits.body.addWidget(row)
        self._no_limits = EmptyState(
            "scale", "No limits measured yet", "They appear with the first figures of the day."
        )
        self.limits.body.addStretch(1)
        self.limits.body.addWidget(self._no_limits)
        self.limits.body.addStretch(1)

        self.open = Card("Open positions", spacing=GRID)
        self.positions_model = positions_model(self.state, self)
        table = DataTable(self.positions_model, "Open positions", sortable=False)
        for column in (3, 5, 6):
            table.setColumnHidden(column, True)
        table.horizontalHeader().setSectionResizeMode(4, table.horizontalHeader().ResizeMode.Stretch)
        self._flat = EmptyState("layers", "No open positions", "You are flat.")
        self.positions_table = TableOrEmpty(table, self._flat)
        self.positions_table.setMinimumHeight(4 * ROW_HEIGHT)
        self.open.body.addWidget(self.positions_table, 1)

        self.events = Card("What happened last")
        self._event_rows = [EventRow() for _ in range(EVENTS_SHOWN)]
        for event_row in self._event_rows:
            self.events.body.addWidget(event_row)
        self._no_events = EmptyState("shield-check", "Nothing had to be enforced", "Entries of the log appear here.")
        self.events.body.addStretch(1)
        self.events.body.addWidget(self._no_events)
        self.events.body.addStretch(1)

        self.desk = Card("Desk time")
        self._desk_lines: dict[str, tuple[QWidget, Figure]] = {}
        for name in ("Clock-in", "Clock-out", "At the desk", "First trade", "Last trade", "Fills", "Next reset"):
            figure = Figure(name, size=14, weight=500, align_right=True)
            caption = label(name, "muted")
            self._desk_lines[name] = (caption, figure)
            self.desk.body.addLayout(hbox(caption, figure))
        self.desk.body.addStretch(1)

        self._cards = QGridLayout()
        self._cards.setSpacing(2 * GRID)
        content = QWidget()
        content.setLayout(vbox(self._tile_grid, self._cards, None, spacing=2 * GRID, margins=(24, 20, 24, 24)))
        self._area = scrolled(content)
        self.setLayout(vbox(self._area))
        self._arrange(WIDE + 1)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        super().resizeEvent(event)
        self._arrange(event.size().width())

    def _arrange(self, width: int) -> None:
        columns = 4 if width >= WIDE else 2
        if columns == self._columns:
            return
        self._columns = columns
        for number, tile in enumerate(self._tiles):
            self._tile_grid.addWidget(tile, number // columns, number % columns)
        for number in range(4):
            self._tile_grid.setColumnStretch(number, 1 if number < columns else 0)
        wide = columns == 4
        places = ((0, 0), (0, 1), (1, 0), (1, 1)) if wide else ((0, 0), (1, 0), (2, 0), (3, 0))
        for card, (row, column) in zip((self.limits, self.open, self.events, self.desk), places, strict=True):
            self._cards.addWidget(card, row, column)
        self._cards.setColumnStretch(0, 1)
        self._cards.setColumnStretch(1, 1 if wide else 0)

    def refresh_all(self) -> None:
        view = self.account
        if view is None:
            return
        self._show_figures(view)
        self._show_limits(view)
        self.positions_model.set_rows(view.positions or [])
        say_no_positions(self._flat, known=view.positions is not None)
        self._show_events(view)
        self._show_desk(view)

    def _show_figures(self, view: AccountView) -> None:
        pnl = view.pnl
        live = self.state.live
        self.realized.figure.set_money(pnl.realized, flash=live)
        set_text(self.realized.note, _count(pnl.trade_count, "fill"))
        self.unrealized.figure.set_money(pnl.unrealized, flash=live)
        stale = any(position.stale for position in view.positions or ())
        held = len(view.positions) if view.positions is not None else None
        set_text(self.unrealized.note, "quotes are stale" if stale else _count(held, "position"))
        self.total.figure.set_money(pnl.total, flash=live)
        set_text(self.total.note, "realized + unrealized")
        self.balance.figure.set_money(view.account.balance, signed=False, flash=False)
        set_text(self.balance.note, "US dollars")

    def _show_limits(self, view: AccountView) -> None:
        rules = nearest_rules(view)
        self._no_limits.setVisible(not rules)
        for number, row in enumerate(self._limit_rows):
            row.setVisible(number < len(rules))
            if number < len(rules):
                row.show_rule(rules[number])

    def _show_events(self, view: AccountView) -> None:
        events = latest_events(view)
        self._no_events.setVisible(not events)
        for number, row in enumerate(self._event_rows):
            row.setVisible(number < len(events))
            if number < len(events):
                at, icon_name, tone, words = events[number]
                row.show_event(icon_name, tone, words, self.state.calendar.clock(at))

    def _show_desk(self, view: AccountView) -> None:
        calendar = self.state.calendar
        first, last = desk_span(view.desk)
        traded = [trade.created_at for trade in (view.trades or {}).values() if trade.created_at is not None]
        first_trade = min((d.first_trade for d in view.desk if d.first_trade), default=min(traded, default=None))
        last_trade = max((d.last_trade for d in view.desk if d.last_trade), default=max(traded, default=None))
        self._line("Clock-in", calendar.clock(first))
        self._line("Clock-out", calendar.clock(last) if last else ("not yet" if first else wording.UNKNOWN))
        self._line("First trade", calendar.clock(first_trade))
        self._line("Last trade", calendar.clock(last_trade))
        count = view.pnl.trade_count
        self._line("Fills", wording.UNKNOWN if count is None else str(count))
        self._tick_desk(view)

    def _tick_desk(self, view: AccountView) -> None:
        now = self.state.clock.now()
        self._line("At the desk", desk_total(view.desk, now))
        reset = view.pnl.next_reset
        if reset is None:
            self._line("Next reset", wording.UNKNOWN)
        elif now is None:
            self._line("Next reset", self.state.calendar.until(reset, None))
        else:
            self._line("Next reset", f"in {wording.duration(reset - now, seconds=False)}")

    def desk_line(self, name: str) -> str:
        """What a line of the desk time says."""
        return self._desk_lines[name][1].words

    @property
    def limit_rows(self) -> list[LimitRow]:
        """The limits on screen."""
        return [row for row in self._limit_rows if not row.isHidden()]

    def _line(self, name: str, words: str) -> None:
        tone = Tone.MUTED if words == wording.UNKNOWN else Tone.NEUTRAL
        self._desk_lines[name][1].set_words(words, tone)

    def tick(self) -> None:
        view = self.account
        if view is not None:
            self._tick_desk(view)


def say_no_positions(place: EmptyState, *, known: bool) -> None:
    """Not heard is not flat."""
    if known:
        place.say("layers", "No open positions", "You are flat.")
    else:
        place.say("hourglass", "Positions are not known yet", "They come with the next report of the daemon.")


def _count(number: int | None, one: str) -> str:
    if number is None:
        return ""
    return wording.counted(number, one) if number else f"no {one}s"


def nearest_rules(view: AccountView) -> list[Rule]:
    """Rules that are on and measured, the one nearest to its limit first."""
    measured = [rule for rule in view.rules or () if rule.enabled and rule.share is not None]
    return sorted(measured, key=lambda rule: rule.share or 0.0, reverse=True)[:RULES_SHOWN]


def latest_events(view: AccountView) -> list[tuple[datetime | None, str, Tone, str]]:
    """Newest first: time, icon, tone, words of enforcement entries and warnings."""
    events: list[tuple[datetime | None, str, Tone, str]] = []
    for entry in view.enforcement_log[: 2 * EVENTS_SHOWN]:
        icon_name, tone = {
            "lockout_set": ("lock", Tone.LOCKED),
            "lockout_cleared": ("lock-open", Tone.POSITIVE),
        }.get(entry.action, ("ban", Tone.WARNING))
        if entry.result == "failed":
            icon_name, tone = "octagon-x", Tone.NEGATIVE
        events.append((entry.triggered_at, icon_name, tone, wording.enforcement_sentence(entry)))
    for warning in list(view.warnings)[:EVENTS_SHOWN]:
        events.append((warning.at, "triangle-alert", Tone.WARNING, wording.sentence_case(warning.message)))
    events.sort(key=lambda event: event[0].timestamp() if event[0] else 0.0, reverse=True)
    return events[:EVENTS_SHOWN]


def desk_span(desk: list[DeskTime]) -> tuple[datetime | None, datetime | None]:
    """First clock-in and last clock-out of the day; no clock-out while somebody is at the desk."""
    first = min((stretch.clock_in for stretch in desk if stretch.clock_in), default=None)
    if any(stretch.clock_in and stretch.clock_out is None for stretch in desk):
        return first, None
    return first, max((stretch.clock_out for stretch in desk if stretch.clock_out), default=None)


def desk_total(desk: list[DeskTime], now: datetime | None) -> str:
    """Time at the desk in words; an open stretch counts up to trusted now."""
    seconds = 0.0
    known = False
    for stretch in desk:
        end = stretch.clock_out or now
        if stretch.clock_in and end:
            seconds += max(0.0, (end - stretch.clock_in).total_seconds())
            known = True
    return wording.duration(seconds, seconds=False) if known else wording.UNKNOWN
