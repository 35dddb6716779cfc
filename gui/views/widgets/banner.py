"""A banner: what is going on, what it means, what to do; at its right a running clock or a button."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible, QAccessibleEvent
from PySide6.QtWidgets import QFrame, QWidget

from gui.views.tokens import GRID, Tone
from gui.views.widgets.basic import IconLabel, hbox, label, restyle, set_text, vbox
from gui.views.widgets.figure import Figure


class Banner(QFrame):
    """Hidden until `say` is called. Screen readers are told its whole text."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("role", "banner")
        self.icon = IconLabel("info", Tone.ACCENT, 24)
        self.headline = label("", "heading", wrap=True)
        self.sentence = label("", "", wrap=True)
        self.clock = Figure("Time left", size=28, align_right=True)
        self.clock_caption = label("", "caption")
        self.clock_caption.setAlignment(Qt.AlignmentFlag.AlignRight)
        self._side = QWidget()
        self._side.setLayout(vbox(self.clock, self.clock_caption, spacing=0))
        self._side.hide()
        self._actions = hbox()
        row = hbox(self.icon, vbox(self.headline, self.sentence, spacing=4), self._side, spacing=2 * GRID)
        row.setStretch(1, 1)
        row.setAlignment(self.icon, Qt.AlignmentFlag.AlignTop)
        row.addLayout(self._actions)
        row.setContentsMargins(20, 14, 20, 14)
        self.setLayout(row)
        self.hide()

    def say(self, tone: Tone, icon_name: str, headline: str, sentence: str) -> None:
        """Show the banner with these words."""
        news = self.isHidden() or headline != self.headline.text()
        restyle(self, tone=tone.value)
        self.icon.set_icon(icon_name, tone)
        set_text(self.headline, headline)
        set_text(self.sentence, sentence)
        self.sentence.setVisible(bool(sentence))
        self.setAccessibleName(f"{headline} {sentence}")
        self.setVisible(True)
        if news:
            # A screen reader reads it out, wherever the focus is.
            QAccessible.updateAccessibility(QAccessibleEvent(self, QAccessible.Event.Alert))

    def set_clock(self, words: str | None, caption: str = "", tone: Tone = Tone.LOCKED) -> None:
        """The big text at the right; None takes it away."""
        self._side.setVisible(words is not None)
        if words is not None:
            self.clock.set_words(words, tone)
            set_text(self.clock_caption, caption)

    def add_action(self, widget: QWidget) -> None:
        """Put a button at the right."""
        self._actions.addWidget(widget)
