"""Every command of the guides is run: by a test here, under Wine, by a script of ours, or by hand, with a reason."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from tests.docs.guides import CHECKLIST, GUIDES, ROOT, Command, commands, read

HERE = "tests/docs/test_riskd.py"
WINE = "tests/windows/bed/scenario.py"
FROZEN = "tests/windows/bed/test_frozen.py"


@dataclass(frozen=True)
class RunBy:
    """A file and what in it runs the command: the name of a test, or a piece of a script."""

    path: str
    what: str


@dataclass(frozen=True)
class ByHand:
    """Why no test runs it."""

    reason: str


PROOFS: dict[str, RunBy | ByHand] = {
    "pip install uv": RunBy("tests/retry.sh", "pip install --quiet uv"),
    "bash tests/run": RunBy(".ci/run", "bash tests/run"),
    "bash .ci/run": ByHand("it is what runs all of these"),
    "bash tests/windows/run --quick": RunBy(".ci/run", "bash tests/windows/run --ci"),
    "python -m tests.bench.bench_core": ByHand("a measurement of minutes, made when speed is looked at"),
    "python -m tests.bench.ipc_floods": ByHand("a measurement of minutes, made when the socket is changed"),
    "apt-get install": ByHand("installs system packages; the list is compared with what the window loads"),
    "python nssm/package.py": RunBy(FROZEN, '"nssm/package.py"'),
    "riskd --help": RunBy(HERE, "test_help_when_asked_lists_the_commands"),
    "riskd run": RunBy(HERE, "test_run_when_started_for_the_first_time_writes_the_templates_and_says_where"),
    "riskd check": RunBy(HERE, "test_check_when_two_things_are_wrong_names_both_with_file_line_and_key"),
    "riskd status": RunBy(HERE, "test_status_when_the_daemon_runs_tells_every_account"),
    "riskd demo": RunBy(HERE, "test_demo_when_run_with_a_window_opens_it_and_ends_with_it"),
    "riskd demo --headless": RunBy(HERE, "test_demo_when_run_without_a_window_enforces_every_rule"),
    "riskd replay JOURNAL": RunBy(HERE, "test_replay_when_the_day_is_named_or_compared_tells_what_was_decided"),
    "riskd replay JOURNAL --config other.yaml": RunBy(
        HERE, "test_replay_when_the_day_is_named_or_compared_tells_what_was_decided"
    ),
    "riskgui": RunBy(HERE, "test_window_when_opened_beside_the_daemon_stays_until_it_is_ended"),
    "riskgui --admin": RunBy(HERE, "test_window_when_opened_beside_the_daemon_stays_until_it_is_ended"),
    "riskd service status": RunBy(WINE, "test_02_start_when_configured_watches_all_accounts"),
    "riskd service start": RunBy(WINE, "test_04_stop_and_start_when_locked_end_gracefully_and_stay_locked"),
    "riskd service stop": RunBy(WINE, "test_04_stop_and_start_when_locked_end_gracefully_and_stay_locked"),
    "riskd service restart": RunBy(WINE, "test_04_restart_when_locked_stays_locked"),
    "install.cmd": RunBy(WINE, "test_10_install_when_installed_keeps_configuration_and_lockouts"),
    "install.cmd --take-over": RunBy(WINE, "test_10_install_when_installed_keeps_configuration_and_lockouts"),
    "uninstall.cmd": RunBy(WINE, "test_12_uninstall_when_an_administrator_insists_removes_everything_but_the_data"),
    "certutil -hashfile RiskManager-<version>.zip SHA256": ByHand("Windows' own; Wine's has no -hashfile"),
    'cd /d "C:\\Program Files\\Risk Manager"': RunBy(FROZEN, "installed.path(TARGET)"),
    "cd /d FOLDER": RunBy(FROZEN, "installed.path(TARGET)"),
    "cd \\": ByHand("of cmd.exe; nothing of ours is in it"),
}
"""What stands for a command that begins with the same words is the longest entry."""

OPTIONS = {
    "install.cmd": (
        *(
            "--dry-run",
            "--no-start",
            "--no-autostart",
            "--target DIR",
            "--home DIR",
            "--second-factor CODE",
            "--take-over",
            "--allow-downgrade",
        ),
    ),
    "uninstall.cmd": ("--keep-data", "--purge", "--yes", "--dry-run", "--although-locked", "--second-factor CODE"),
}
"""Options that the installation guide lists; all of them, and no others, as `riskd service` has them."""


def proof(command: Command) -> RunBy | ByHand | None:
    if command.guide == CHECKLIST and not command.text.startswith("tests/"):
        return ByHand("the checklist for a person on a real Windows")
    if command.text.startswith("tests/windows/run"):
        return PROOFS["bash tests/windows/run --quick"]
    if command.text.startswith("apt-get install "):
        return PROOFS["apt-get install"]
    return PROOFS.get(command.text)


@pytest.mark.parametrize(
    "command", [one for guide in GUIDES for one in commands(guide)], ids=lambda one: f"{one.guide}: {one.text}"
)
def test_command_when_a_guide_says_it_is_run_somewhere(command: Command) -> None:
    found = proof(command)

    assert found is not None, (
        f"{command.guide} says {command.text!r}: run it in {HERE}, or under Wine, and say so in PROOFS; "
        "or say there why it is run by hand."
    )
    if isinstance(found, RunBy):
        assert found.what in (ROOT / found.path).read_text(encoding="utf-8"), f"{found.path} has no {found.what!r}"


def test_proofs_when_a_guide_drops_a_command_are_dropped_too() -> None:
    said = {command.text for guide in GUIDES for command in commands(guide)}
    families = {"apt-get install"}

    assert [text for text in PROOFS if text not in said and text not in families] == []


@pytest.mark.parametrize("script", OPTIONS)
def test_options_when_the_guide_lists_them_are_those_that_the_service_has(script: str) -> None:
    guide = read("docs/installation.md")
    name = "install" if script == "install.cmd" else "uninstall"
    source = (ROOT / "daemon/windows/service.py").read_text(encoding="utf-8")
    has = set(re.findall(rf'\b{name}\.add_argument\("(--[\w-]+)"[^)]*?(?=\))', source))
    has |= set(re.findall(r'data\.add_argument\("(--[\w-]+)"', source)) if name == "uninstall" else set()
    hidden = {"--target"} if name == "uninstall" else set()
    common = {option.split()[0] for option in OPTIONS[script]} & {"--home", "--second-factor"}

    for option in OPTIONS[script]:
        assert f"`{option}`" in guide, f"the installation guide does not say {option}"
    assert {option.split()[0] for option in OPTIONS[script]} - common == has - hidden
