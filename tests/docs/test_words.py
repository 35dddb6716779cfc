"""What the guides name exists: parts of the windows, messages, files, rules, keys, methods, pictures, headings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shared.models import RULE_NAMES, LockoutKind
from shared.rpc_methods import METHODS
from tests.docs.guides import GUIDES, ROOT, bold, italic, read, said_by, spans, texts

OF_WINDOWS = {
    *("Run as administrator", "Apps", "Uninstall", "More info", "Run anyway", "Properties", "Unblock", "Services"),
    *("Terminal", "^"),
}
"""What Windows calls parts of its own."""
SOURCE_FOLDERS = ("daemon/", "gui/", "shared/", "docs/", "nssm/", "tests/", "config/presets")
MADE_BY_TESTS = "tests/artifacts/"


@pytest.mark.parametrize("guide", GUIDES)
def test_name_of_a_part_of_the_windows_when_a_guide_says_it_stands_there(guide: str) -> None:
    shown = {text.rstrip("…").casefold() for text in texts("gui")}
    plain = {"risk manager"}
    missing = [
        name for name in italic(guide) if name not in OF_WINDOWS and name.rstrip("…").casefold() not in shown | plain
    ]

    assert missing == [], f"{guide} names parts of the windows that are not there"


def test_name_of_a_button_when_it_opens_a_question_is_written_with_its_dots() -> None:
    labels = {text for text in texts("gui") if text.endswith("…")}
    wrong = [
        (guide, name)
        for guide in GUIDES
        for name in italic(guide)
        if f"{name}…" in labels and name not in texts("gui") and name not in OF_WINDOWS
    ]

    assert wrong == []


def test_message_when_the_troubleshooting_guide_quotes_it_is_one_of_ours() -> None:
    scripts = tuple(path.read_text(encoding="ascii") for path in (ROOT / "nssm").glob("*.cmd"))
    sources = (*texts("daemon", "gui", "shared"), *scripts)
    quoted = [message for message in bold("docs/troubleshooting.md") if message != "bold"]

    assert len(quoted) > 15
    assert [message for message in quoted if not said_by(message, sources)] == []


def test_path_when_a_guide_names_a_source_exists() -> None:
    named = {
        (guide, span)
        for guide in GUIDES
        for span in spans(guide)
        if span.startswith(SOURCE_FOLDERS) and " " not in span and not span.startswith(MADE_BY_TESTS)
    }

    assert len(named) > 20
    assert [(guide, span) for guide, span in sorted(named) if not (ROOT / span).exists()] == []


def test_link_when_a_guide_has_one_leads_somewhere() -> None:
    broken = []
    for guide in GUIDES:
        for target in re.findall(r"\]\(([^)]+)\)", read(guide)):
            path, _, heading = target.partition("#")
            file = (ROOT / guide).parent / path if path else ROOT / guide
            if not file.is_file() or (heading and heading not in headings(file)):
                broken.append((guide, target))

    assert broken == []


def headings(file: Path) -> set[str]:
    found = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in found}


def test_pictures_when_made_are_all_shown_and_exist() -> None:
    shown = {name for guide in GUIDES for name in re.findall(r"images/([\w-]+\.png)", read(guide))}

    assert shown == {path.name for path in (ROOT / "docs/images").glob("*.png")}


def test_rules_when_the_admin_guide_lists_them_are_all_of_them() -> None:
    listed = re.findall(r"^\| (\d{3}) `(\w+)` \|", read("docs/admin-guide.md"), re.MULTILINE)

    assert listed == [(name.rule_id.removeprefix("RULE-"), name.key) for name in RULE_NAMES]


def test_kinds_of_lockouts_when_the_trader_guide_lists_them_are_all_of_them() -> None:
    section = read("docs/trader-guide.md").partition("## What a lockout means")[2].partition("\n## ")[0]
    listed = [kind for kind in re.findall(r"^\| (\w+) \|", section, re.MULTILINE) if kind != "kind"]

    assert sorted(listed) == sorted(LockoutKind)


def test_methods_when_the_socket_guide_names_them_exist_and_say_who_may_call_them() -> None:
    methods = {name: method.admin for name, method in METHODS.items()}
    rows = re.findall(r"^\| (`.+?) \| anyone \|", read("docs/socket.md"), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)", row)}

    assert named <= set(methods)
    assert {name for name in named if methods[name]} == set()
    logins = {"auth_begin", "auth_finish", "auth_second_factor"}
    assert named | logins >= {name for name, admin in methods.items() if not admin}
