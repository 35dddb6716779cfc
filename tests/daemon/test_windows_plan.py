"""Planning of the installation: pure, so that it is tested on every platform."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path, PureWindowsPath

import pytest

from daemon.windows import acl
from daemon.windows.facts import Facts, Options
from daemon.windows.plan import next_steps, plan_install, plan_uninstall
from daemon.windows.refusals import NSSM_SHA256, install_refusals, install_warnings, uninstall_refusals
from daemon.windows.steps import (
    Command,
    CreateHome,
    DeleteFolder,
    DeleteProgramLater,
    DeleteRegistry,
    Program,
    SetRegistry,
    StartService,
    Step,
    StopService,
    SwapBack,
    SwapProgram,
)

NSSM_FOLDER = Path(__file__).parents[2] / "nssm"
UNPACKED = PureWindowsPath(r"C:\Users\admin\Downloads\RiskManager-0.2.0")
TARGET = PureWindowsPath(r"C:\Program Files\Risk Manager")
HOME = PureWindowsPath(r"C:\ProgramData\RiskManager")


def packaged(folder: PureWindowsPath) -> Program:
    return Program(folder / "daemon" / "riskd.exe", "run", folder / "daemon", folder)


FRESH = Facts(
    windows_version=(10, 0),
    is_64bit=True,
    is_administrator=True,
    running=packaged(UNPACKED),
    target=TARGET,
    target_is_ours=False,
    nssm=UNPACKED / "daemon/_internal/nssm/nssm.exe",
    nssm_sha256=NSSM_SHA256,
    scripts=UNPACKED / "daemon/_internal/nssm",
    home=HOME,
    home_exists=False,
    home_owner=None,
    home_is_link=False,
    home_problem=None,
    config_present=False,
    config_problem=None,
    version="0.2.0",
    installed_version=None,
    service_exists=False,
    service_runs=False,
    registered=None,
    port=5555,
    port_taken=False,
    free_bytes=50_000_000_000,
    start_menu=PureWindowsPath(r"C:\ProgramData\Microsoft\Windows\Start Menu\Programs"),
)
INSTALLED = replace(
    FRESH,
    target_is_ours=True,
    home_exists=True,
    home_owner=acl.ADMINISTRATORS,
    config_present=True,
    installed_version="0.1.0",
    service_exists=True,
    service_runs=True,
    registered=packaged(TARGET),
)


def commands(steps: list[Step]) -> list[str]:
    return [" ".join(action.argv) for step in steps for action in step.actions if isinstance(action, Command)]


def position(steps: list[Step], kind: type) -> int:
    """Index of the first step with an action of the kind."""
    return next(i for i, step in enumerate(steps) if any(isinstance(action, kind) for action in step.actions))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"windows_version": (6, 1)}, "Windows 10"),
        ({"is_64bit": False}, "64-bit"),
        ({"is_administrator": False}, "Run as administrator"),
        ({"nssm_sha256": None}, "is missing"),
        ({"nssm_sha256": "0" * 64}, "SHA-256 differs"),
        ({"home": PureWindowsPath(r"C:\Risk & Co")}, "contains &"),
        ({"home": PureWindowsPath(r"\\server\share\rm")}, "local drive"),
        ({"home": PureWindowsPath("rm")}, "local drive"),
        ({"home": PureWindowsPath("C:\\")}, "local drive"),
        ({"home_exists": True, "home_owner": "S-1-5-21-1-2-3-1001"}, "made by a user"),
        ({"home_exists": True, "home_owner": None}, "made by a user"),
        ({"home_exists": True, "home_owner": acl.ADMINISTRATORS, "home_is_link": True}, "is a link"),
        ({"home_problem": "Access is denied"}, "Access is denied"),
        ({"config_present": True, "config_problem": "rules.x: unknown key"}, "rules.x: unknown key"),
        ({"installed_version": "0.10.0"}, "--allow-downgrade"),
        ({"free_bytes": 900_000_000}, "900 MB"),
    ],
)
def test_install_when_a_condition_is_not_met_refuses_with_one_sentence(
    change: dict[str, object], sentence: str
) -> None:
    (refusal,) = install_refusals(replace(FRESH, **change), Options())  # type: ignore[arg-type]

    assert sentence in refusal


@pytest.mark.parametrize("facts", [FRESH, INSTALLED, replace(INSTALLED, installed_version="0.2.0")])
def test_install_when_all_conditions_are_met_does_not_refuse(facts: Facts) -> None:
    assert install_refusals(facts, Options()) == []


def test_install_when_the_administrator_insists_accepts_a_foreign_home_and_an_older_version() -> None:
    facts = replace(FRESH, home_exists=True, home_owner="S-1-5-21-1-2-3-1001", installed_version="1.0")

    assert install_refusals(facts, Options(take_over=True, allow_downgrade=True)) == []


def test_install_when_the_port_is_taken_warns_unless_by_our_own_service() -> None:
    assert "5555" in install_warnings(replace(FRESH, port_taken=True))[0]
    assert install_warnings(replace(INSTALLED, port_taken=True)) == []


def test_plan_when_fresh_makes_the_home_private_before_anything_lies_in_it_and_starts_last() -> None:
    steps = plan_install(FRESH, Options())
    said = commands(steps)

    assert position(steps, SwapProgram) < position(steps, CreateHome) < position(steps, StartService)
    assert any(f"{HOME} /inheritance:r" in command for command in said)
    assert not any(isinstance(action, StopService) for step in steps for action in step.actions)
    assert all(step.title and step.why for step in steps)


def test_plan_when_fresh_runs_nothing_as_localsystem_from_where_it_was_unpacked() -> None:
    steps = plan_install(FRESH, Options())
    register = next(a for s in steps for a in s.actions if isinstance(a, Command) and "register.cmd" in a.argv[-1])

    assert register.argv[-1] == str(TARGET / "daemon/_internal/nssm/register.cmd")
    assert register.environment == {
        "RM_NSSM": str(TARGET / "daemon/_internal/nssm/nssm.exe"),
        "RM_PROGRAM": str(TARGET / "daemon/riskd.exe"),
        "RM_ARGUMENTS": "run",
        "RM_DIRECTORY": str(TARGET / "daemon"),
        "RM_HOME": str(HOME),
    }


def test_plan_when_fresh_undoes_everything_it_made() -> None:
    undone = [action for step in plan_install(FRESH, Options()) for action in step.undo]

    assert DeleteFolder(HOME) in undone
    assert SwapBack(TARGET) in undone
    assert StopService() in undone
    assert any(isinstance(action, Command) and "unregister.cmd" in action.argv[-1] for action in undone)
    set_keys = {a.key for step in plan_install(FRESH, Options()) for a in step.actions if isinstance(a, SetRegistry)}
    assert {action.key for action in undone if isinstance(action, DeleteRegistry)} == set_keys


def test_plan_when_upgrading_stops_first_keeps_the_data_and_can_go_back() -> None:
    steps = plan_install(INSTALLED, Options())
    undone = [action for step in steps for action in step.undo]

    assert position(steps, StopService) < position(steps, SwapProgram)
    assert not any(isinstance(action, CreateHome | DeleteFolder) for step in steps for action in step.actions)
    assert not any(isinstance(action, DeleteFolder) for action in undone), "an upgrade never deletes the data"
    again = next(a for a in undone if isinstance(a, Command) and "register.cmd" in a.argv[-1])
    assert again.environment["RM_PROGRAM"] == str(TARGET / "daemon/riskd.exe")
    assert again.argv[-1].startswith(str(UNPACKED)), "the installed script may be gone again by then"
    assert StartService(packaged(TARGET)) in undone


def test_plan_when_repairing_in_place_does_not_copy_onto_itself() -> None:
    facts = replace(INSTALLED, running=packaged(TARGET), nssm=TARGET / "daemon/_internal/nssm/nssm.exe")
    steps = plan_install(replace(facts, scripts=TARGET / "daemon/_internal/nssm"), Options())

    assert not any(isinstance(action, SwapProgram) for step in steps for action in step.actions)


def test_plan_when_from_a_source_tree_registers_python_and_leaves_the_desktop_alone() -> None:
    source = PureWindowsPath(r"C:\src\risk-manager")
    program = Program(source / ".venv/Scripts/python.exe", "-m daemon run", source, None)
    facts = replace(FRESH, running=program, nssm=source / "nssm.exe", scripts=source / "nssm")
    steps = plan_install(facts, Options())
    keys = [action.key for step in steps for action in step.actions if isinstance(action, SetRegistry)]

    assert not any("CurrentVersion" in key for key in keys)
    assert "Program Files" not in "\n".join(commands(steps))
    assert StartService(program) in [action for step in steps for action in step.actions]
    assert any("source tree" in warning for warning in install_warnings(facts))


def test_plan_when_taking_over_changes_the_owner_before_the_rights() -> None:
    facts = replace(FRESH, home_exists=True, home_owner="S-1-5-21-1-2-3-1001")
    said = commands(plan_install(facts, Options(take_over=True)))
    rights = next(i for i, command in enumerate(said) if command.startswith(f"icacls {HOME} /inheritance:r /grant:r"))

    assert said.index(f"takeown /F {HOME} /A") < rights
    assert any("/setowner *S-1-5-32-544 /T /L" in command for command in said)


def test_plan_when_told_not_to_start_or_autostart_leaves_them_out() -> None:
    steps = plan_install(FRESH, Options(start=False, autostart=False))

    assert not any(isinstance(action, StartService) for step in steps for action in step.actions)
    assert not any("logon" in step.title for step in steps)
    assert any("logon" in step.title for step in plan_install(FRESH, Options()))


def test_plan_when_installing_sets_recovery_rights_safe_mode_and_event_log() -> None:
    steps = plan_install(FRESH, Options())
    said, actions = commands(steps), [action for step in steps for action in step.actions]

    assert "sc.exe failure RiskManagerDaemon reset= 3600 actions= restart/10000/restart/30000/restart/60000" in said
    assert "sc.exe failureflag RiskManagerDaemon 1" in said
    assert (
        "sc.exe sdset RiskManagerDaemon "
        "D:(A;;CCLCSWRPWPDTLOCRRC;;;SY)(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;BA)(A;;CCLCSWRC;;;AU)" in said
    )
    safe_mode = r"SYSTEM\CurrentControlSet\Control\SafeBoot\Network\RiskManagerDaemon"
    assert SetRegistry(safe_mode, None, "Service") in actions
    source = r"SYSTEM\CurrentControlSet\Services\EventLog\Application\RiskManager"
    assert SetRegistry(source, "EventMessageFile", r"%SystemRoot%\System32\EventCreate.exe", expand=True) in actions


def test_rights_when_set_give_users_the_public_folder_and_nothing_else() -> None:
    said = [" ".join(command) for command in acl.home_commands(HOME)]

    assert said == [
        rf"icacls {HOME} /inheritance:r /grant:r *S-1-5-18:(OI)(CI)F *S-1-5-32-544:(OI)(CI)F *S-1-5-32-545:RX",
        *(
            rf"icacls {HOME}\{name} /inheritance:r /grant:r *S-1-5-18:(OI)(CI)F *S-1-5-32-544:(OI)(CI)F"
            for name in ("config", "data", "logs", "run")
        ),
        rf"icacls {HOME}\public /grant *S-1-5-32-545:(OI)(CI)RX",
    ]
    (program,) = acl.program_commands(TARGET / "daemon")
    assert acl.USERS not in " ".join(program)


def test_uninstall_when_not_administrator_refuses() -> None:
    assert uninstall_refusals(INSTALLED) == []
    assert "administrator" in uninstall_refusals(replace(INSTALLED, is_administrator=False))[0]


def test_uninstall_when_nssm_was_replaced_refuses_to_run_it_as_administrator() -> None:
    assert "SHA-256" in uninstall_refusals(replace(INSTALLED, nssm_sha256="0" * 64))[0]


def test_uninstall_when_data_is_kept_deletes_only_the_program() -> None:
    facts = replace(INSTALLED, running=packaged(TARGET))
    actions = [action for step in plan_uninstall(facts, purge=False) for action in step.actions]

    assert DeleteFolder(HOME) not in actions
    assert DeleteProgramLater(TARGET) in actions


def test_uninstall_when_purged_deletes_the_data_after_the_service_is_gone() -> None:
    steps = plan_uninstall(replace(INSTALLED, running=packaged(TARGET)), purge=True)
    actions = [action for step in steps for action in step.actions]
    removal = next(i for i, a in enumerate(actions) if isinstance(a, Command) and "unregister.cmd" in a.argv[-1])

    assert removal < actions.index(DeleteFolder(HOME))


def test_uninstall_when_run_from_elsewhere_deletes_the_target_only_if_it_is_ours() -> None:
    ours = [action for step in plan_uninstall(INSTALLED, purge=False) for action in step.actions]
    foreign = plan_uninstall(replace(INSTALLED, target_is_ours=False), purge=False)

    assert DeleteFolder(TARGET) in ours
    assert not any(DeleteFolder(TARGET) in step.actions for step in foreign)


def test_next_steps_when_not_started_lead_from_the_program_s_folder_to_the_start() -> None:
    steps = next_steps(FRESH, started=False)

    assert [step[:2] for step in steps] == ["1.", "2.", "3.", "4."]
    assert f'cd /d "{TARGET}"' in steps[0], "riskd is on nobody's path"
    assert "accounts.yaml" in steps[1]
    assert "riskd service start" in steps[-1]
    from_source = replace(FRESH, running=Program(PureWindowsPath("python.exe"), "run", HOME, None))
    assert "accounts.yaml" in next_steps(from_source, started=False)[0]


def test_next_steps_when_started_name_the_menu_as_it_is_written_there() -> None:
    said = " ".join(next_steps(FRESH, started=True))

    assert "standard account" in said
    assert said.isascii(), "an old console shows nothing else"
    tray = (Path(__file__).parents[2] / "gui/views/tray.py").read_text(encoding="utf-8")
    assert "'Admin...'" in said
    assert '"Admin…"' in tray


NSSM_SETTINGS = {
    "Application": '"%RM_PROGRAM%"',
    "AppParameters": '"%RM_ARGUMENTS%"',
    "AppDirectory": '"%RM_DIRECTORY%"',
    "AppEnvironmentExtra": '"RISK_MANAGER_HOME=%RM_HOME%"',
    "DisplayName": '"Risk Manager Daemon"',
    "AppExit": "Default Restart",
    "AppRestartDelay": "2000",
    "AppThrottle": "1",
    "AppStopMethodSkip": "6",
    "AppStopMethodConsole": "30000",
    "AppKillProcessTree": "1",
    "AppNoConsole": "0",
    "AppStdout": r'"%RM_HOME%\logs\service.log"',
    "AppStderr": r'"%RM_HOME%\logs\service.log"',
    "AppRotateFiles": "1",
    "AppRotateOnline": "0",
    "AppRotateSeconds": "86400",
    "AppPriority": "ABOVE_NORMAL_PRIORITY_CLASS",
    "DependOnService": "Tcpip Dnscache",
    "Start": "SERVICE_AUTO_START",
    "ObjectName": "LocalSystem",
    "Type": "SERVICE_WIN32_OWN_PROCESS",
}


def test_register_script_sets_every_setting_and_checks_each_answer() -> None:
    script = (NSSM_FOLDER / "register.cmd").read_text(encoding="ascii")
    found = dict(re.findall(r'^"%RM_NSSM%" set %SERVICE% (\w+) (.*) >nul$', script, re.MULTILINE))
    found.pop("Description")

    assert found == NSSM_SETTINGS
    calls = re.findall(r'^"%RM_NSSM%" .*\n(.*)$', script, re.MULTILINE)
    assert all(line.startswith("if ") and "ERRORLEVEL" in line for line in calls), "an answer of NSSM is not looked at"


@pytest.mark.parametrize("name", ["install.cmd", "uninstall.cmd", "register.cmd", "unregister.cmd"])
def test_script_is_ascii_with_crlf_only(name: str) -> None:
    content = (NSSM_FOLDER / name).read_bytes()

    content.decode("ascii")
    assert content.count(b"\n") == content.count(b"\r\n") > 10, "cmd.exe loses labels in files with LF line ends"
