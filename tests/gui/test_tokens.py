"""The themes can be read: every text colour reaches 4.5:1 on the grounds it is used on (WCAG 2.1 AA)."""

import pytest

from gui.views.tokens import DARK, LIGHT, SIZE_SMALL, Tokens, Tone


def luminance(color: str) -> float:
    channels = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("tokens", [DARK, LIGHT], ids=["dark", "light"])
def test_text_when_on_its_grounds_is_readable(tokens: Tokens) -> None:
    grounds = {"window": tokens.window, "sidebar": tokens.sidebar, "surface": tokens.surface, "raised": tokens.raised}
    for name, ground in grounds.items():
        for text in ("text", "muted"):
            assert contrast(getattr(tokens, text), ground) >= 4.5, (text, name)
    for tone in Tone:
        for ground in (tokens.surface, tokens.soft(tone)):
            assert contrast(tokens.tone(tone), ground) >= 4.5, (tone, ground)
    for tone in (Tone.LOCKED, Tone.WARNING, Tone.ACCENT, Tone.POSITIVE):
        assert contrast(tokens.text, tokens.soft(tone)) >= 4.5, tone
    assert contrast(tokens.on_accent, tokens.accent_hover) >= 4.5
    assert contrast(tokens.on_danger, tokens.danger) >= 4.5
    assert contrast(tokens.on_danger, tokens.danger_hover) >= 4.5


@pytest.mark.parametrize("tokens", [DARK, LIGHT], ids=["dark", "light"])
def test_focus_and_borders_when_seen_stand_out(tokens: Tokens) -> None:
    for ground in (tokens.window, tokens.surface, tokens.sidebar):
        assert contrast(tokens.focus, ground) >= 3.0


def test_smallest_type_when_used_is_legible() -> None:
    assert SIZE_SMALL >= 12
