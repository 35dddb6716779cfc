"""The rules of one account: what each does, its limit and value, how much of it is used, what is pending."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from gui import wording
from gui.records import Pending, Rule, Strain
from gui.rule_words import describe
from gui.views.page import Context, Page
from gui.views.tokens import GRID, Tone
from gui.views.trader.overview import value_of_limit
from gui.views.widgets.banner import Banner
from gui.views.widgets.basic import Card, EmptyState, IconLabel, Line, hbox, label, scrolled, set_text, vbox
from gui.views.widgets.figure import Pill, ShareBar

DAILY = frozenset(
    {"daily_realized_loss", "daily_realized_profit", "daily_total_loss", "profit_give_back", "trade_frequency_limit"}
)
"""Rules whose value starts anew at the reset."""


class RuleRow(QWidget):
    """One rule."""

    def __init__(self) -> None:
        super().__init__()
        self.icon = IconLabel("shield-check", Tone.POSITIVE, 20)
        self.title = label("", "strong")
        self.pill = Pill("On", "check", Tone.POSITIVE)
        self.sentence = label("", "muted", wrap=True)
        self.value = label("", "")
        self.share = label("", "strong")
        self.share.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.bar = ShareBar("")
        self.reset = label("", "caption")
        self.pending = label("", "", wrap=True, tone=Tone.WARNING.value)
        words = vbox(
            hbox(self.title, None, self.pill),
            self.sentence,
            self.pending,
            spacing=4,
        )
        self._measure = QWidget()
        self._measure.setLayout(vbox(hbox(self.value, None, self.share), self.bar, self.reset, None, spacing=4))
        self._measure.setFixedWidth(228)
        row = hbox(self.icon, spacing=2 * GRID, margins=(0, 12, 0, 12))
        row.addLayout(words, 1)
        row.addWidget(self._measure)
        row.setAlignment(self.icon, Qt.AlignmentFlag.AlignTop)
        self.setLayout(row)

    def show_rule(self, rule: Rule, pending: Sequence[Pending], calendar: wording.Calendar) -> None:
        """Show a rule and the changes of it that wait."""
        icon_name, tone, word = rule_state(rule)
        self.icon.set_icon(icon_name, tone)
        self.pill.show_state(word, icon_name, tone)
        set_text(self.title, rule.title)
        set_text(
            self.sentence,
            sentence_of(rule),
        )
        self.sentence.setVisible(bool(self.sentence.text()))
        set_text(self.pending, "\n".join(pending_sentence(change, rule.key, calendar) for change in pending))
        self.pending.setVisible(bool(pending))
        measured = rule.enabled and rule.share is not None
        set_text(self.value, value_of_limit(rule) if rule.enabled else "")
        set_text(self.share, f"{rule.share:.0%}" if measured and rule.share is not None else "")
        self.bar.set_name(rule.title)
        self.bar.set_share(rule.share, rule.strain)
        self.bar.setVisible(measured)
        words = rule.rule_id
        if rule.enabled and rule.key in DAILY and rule.next_reset is not None:
            words += f" · resets {calendar.local(rule.next_reset):%H:%M} {calendar.zone_name}"
        set_text(self.reset, words)
        self.setAccessibleName(f"{rule.title}: {word}. {self.sentence.text()} {self.value.text()}")


def sentence_of(rule: Rule) -> str:
    """What the rule does; for one that is off, that it is; for one that can't be judged, what the daemon says."""
    if not rule.enabled:
        return "This rule is switched off."
    return wording.typographic(rule.sentence) if rule.failed else describe(rule)


def pending_sentence(change: Pending, rule_key: str, calendar: wording.Calendar) -> str:
    """ "From Fri 20 Nov, 17:00 New York: limit −250 becomes −500."."""
    name = change.path.split(f"{rule_key}.", 1)[-1] if f"{rule_key}." in change.path else "the rule"
    words = f"{name.replace('_', ' ').replace('.', ', ')} {change.old} becomes {change.new}"
    if change.effective_at is None:
        return wording.sentence_case(f"Pending: {words}")
    return wording.sentence_case(f"From {calendar.until(change.effective_at, None)}: {words}")


_STRAIN_STATES = {
    Strain.CALM: ("shield-check", Tone.POSITIVE, "On"),
    Strain.NEAR: ("triangle-alert", Tone.WARNING, "Near limit"),
    Strain.FULL: ("circle-dot", Tone.WARNING, "Full"),
    Strain.REACHED: ("octagon-x", Tone.NEGATIVE, "At limit"),
}


def rule_state(rule: Rule) -> tuple[str, Tone, str]:
    """Icon, tone and word of a rule's state."""
    if not rule.enabled:
        return "circle-dot", Tone.MUTED, "Off"
    if rule.failed:
        return "octagon-x", Tone.NEGATIVE, "Not judged"
    if rule.locked:
        return "lock", Tone.LOCKED, "Locked"
    return _STRAIN_STATES[rule.strain]


class RulesPage(Page):
    """See the module."""

    key = "rules"
    title = "Rules"
    icon_name = "scale"
    topics = frozenset({"rules", "accounts", "link", "lockouts", "status", "config"})

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.pending = Banner()
        self.card = Card("Rules in force")
        self.count = label("", "muted")
        self.card.add_action(self.count)
        self._rows: list[RuleRow] = []
        self._lines: list[Line] = []
        self._list = vbox(spacing=0)
        self.empty = EmptyState("scale", "Rules are not known yet", "They come with the next report of the daemon.")
        self.card.body.addWidget(self.empty)
        self.card.body.addLayout(self._list)
        content = QWidget()
        content.setLayout(vbox(self.pending, self.card, None, spacing=2 * GRID, margins=(24, 20, 24, 24)))
        self.setLayout(vbox(scrolled(content)))

    @property
    def rows(self) -> list[RuleRow]:
        """The rows on screen."""
        return [row for row in self._rows if not row.isHidden()]

    def refresh_all(self) -> None:
        view = self.account
        if view is None:
            return
        rules = ordered(view.rules or [])
        self.empty.setVisible(not rules)
        while len(self._rows) < len(rules):
            if self._rows:
                line = Line()
                self._lines.append(line)
                self._list.addWidget(line)
            row = RuleRow()
            self._rows.append(row)
            self._list.addWidget(row)
        for number, row in enumerate(self._rows):
            row.setVisible(number < len(rules))
            if number < len(rules):
                rule = rules[number]
                waiting = [change for change in self.state.pending if change.concerns(rule.key, self.account_id)]
                row.show_rule(rule, waiting, self.state.calendar)
            if number:
                self._lines[number - 1].setVisible(number < len(rules))
        on = sum(rule.enabled for rule in rules)
        set_text(self.count, f"{on} on, {len(rules) - on} off" if rules else "")
        health = self.state.health
        count = max(len(self.state.pending), health.pending_config if health is not None else 0)
        if count:
            changes = "One change" if count == 1 else f"{count} changes"
            self.pending.say(
                Tone.ACCENT,
                "calendar-clock",
                f"{changes} of the settings will take effect at the next reset",
                "What loosens protection waits; what tightens it already holds.",
            )
        else:
            self.pending.hide()


def ordered(rules: list[Rule]) -> list[Rule]:
    """Rules that are on first, then by id."""
    return sorted(rules, key=lambda rule: (not rule.enabled, rule.rule_id))
