"""The design's values: colours of both themes, sizes, type scale. No Qt here.

Colours are named by use, not by hue. Every text colour reaches 4.5:1 on the surfaces it is used on (kept by a test).
Distances are multiples of 8 px (4 px inside a control).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Tone(StrEnum):
    """What a colour means. Always said with a word, a sign or a shape as well."""

    NEUTRAL = "neutral"
    MUTED = "muted"
    ACCENT = "accent"
    POSITIVE = "positive"
    NEGATIVE = "negative"
    WARNING = "warning"
    LOCKED = "locked"


@dataclass(frozen=True, slots=True)
class Tokens:
    """One theme. Values are "#rrggbb"."""

    name: str
    window: str
    sidebar: str
    surface: str
    raised: str
    hover: str
    border: str
    strong_border: str
    text: str
    muted: str
    accent: str
    accent_hover: str
    on_accent: str
    accent_soft: str
    positive: str
    positive_soft: str
    negative: str
    negative_soft: str
    warning: str
    warning_soft: str
    locked: str
    locked_soft: str
    focus: str
    danger: str
    on_danger: str
    danger_hover: str

    def tone(self, tone: Tone) -> str:
        """The text colour of a tone."""
        return {
            Tone.NEUTRAL: self.text,
            Tone.MUTED: self.muted,
            Tone.ACCENT: self.accent,
            Tone.POSITIVE: self.positive,
            Tone.NEGATIVE: self.negative,
            Tone.WARNING: self.warning,
            Tone.LOCKED: self.locked,
        }[tone]

    def soft(self, tone: Tone) -> str:
        """The background that goes with a tone."""
        return {
            Tone.NEUTRAL: self.raised,
            Tone.MUTED: self.raised,
            Tone.ACCENT: self.accent_soft,
            Tone.POSITIVE: self.positive_soft,
            Tone.NEGATIVE: self.negative_soft,
            Tone.WARNING: self.warning_soft,
            Tone.LOCKED: self.locked_soft,
        }[tone]


DARK = Tokens(
    name="dark",
    window="#0f1318",
    sidebar="#0b0e12",
    surface="#171c23",
    raised="#1f262f",
    hover="#252d38",
    border="#29313c",
    strong_border="#3a4553",
    text="#e8ecf2",
    muted="#9aa6b5",
    accent="#6ea3ff",
    accent_hover="#2f6fe4",
    on_accent="#ffffff",
    accent_soft="#182844",
    positive="#3ecf95",
    positive_soft="#122c24",
    negative="#ff7479",
    negative_soft="#381b20",
    warning="#f5b83d",
    warning_soft="#332714",
    locked="#ff7479",
    locked_soft="#381b20",
    focus="#6ea3ff",
    danger="#cf3239",
    on_danger="#ffffff",
    danger_hover="#b9262d",
)

LIGHT = Tokens(
    name="light",
    window="#f3f5f8",
    sidebar="#e9edf2",
    surface="#ffffff",
    raised="#eef1f5",
    hover="#e4e9ef",
    border="#dce2e9",
    strong_border="#b9c3cf",
    text="#161d27",
    muted="#566271",
    accent="#1d5fd6",
    accent_hover="#174fb6",
    on_accent="#ffffff",
    accent_soft="#e3edff",
    positive="#067647",
    positive_soft="#dff5ea",
    negative="#c0222d",
    negative_soft="#fde8e9",
    warning="#8a5300",
    warning_soft="#fdf0d5",
    locked="#c0222d",
    locked_soft="#fde8e9",
    focus="#1d5fd6",
    danger="#c0222d",
    on_danger="#ffffff",
    danger_hover="#a11a24",
)

FONT = "Inter Tabular"

GRID = 8
RADIUS = 10
CONTROL_HEIGHT = 32
"""Smallest height of anything to click, in px."""

SIZE_SMALL = 12
SIZE_BODY = 13
SIZE_LARGE = 15
SIZE_TITLE = 20
SIZE_FIGURE = 26
"""Type scale in px; 11 and less is never used."""
