"""What installing and uninstalling the service takes, decided without touching anything.

``plan_install`` and ``plan_uninstall`` turn facts and options into steps in order, each with its reason and with what
undoes it. `daemon.windows.refusals` comes before, `daemon.windows.execution` carries the steps out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from daemon.windows import acl
from daemon.windows.event_log import MESSAGE_FILE, SOURCE_KEY
from daemon.windows.facts import Facts, Options
from daemon.windows.steps import (
    SERVICE,
    Action,
    Command,
    CopyTemplates,
    CreateFolders,
    CreateHome,
    DeleteFolder,
    DeleteProgramLater,
    DeleteRegistry,
    DropOld,
    Program,
    SetRegistry,
    StartService,
    Step,
    StopService,
    SwapBack,
    SwapProgram,
)

SAFE_BOOT_KEY = rf"SYSTEM\CurrentControlSet\Control\SafeBoot\Network\{SERVICE}"
UNINSTALL_KEY = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\RiskManager"
RUN_KEY = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Run"
RUN_VALUE = "RiskManager"


def installed_program(facts: Facts) -> Program:
    """What the service runs once installed."""
    source = facts.running.install_folder
    if source is None or source == facts.target:
        return facts.running
    return Program(
        executable=facts.target / facts.running.executable.relative_to(source),
        arguments=facts.running.arguments,
        directory=facts.target / facts.running.directory.relative_to(source),
        install_folder=facts.target,
    )


def _moved(facts: Facts, path: PurePath) -> PurePath:
    """Where a file of the running program is once the program is in its place."""
    source = facts.running.install_folder
    return path if source is None else facts.target / path.relative_to(source)


def plan_install(facts: Facts, options: Options) -> list[Step]:
    """The steps of a fresh installation, a repair or an upgrade: the same ones, each of which may be repeated."""
    program = installed_program(facts)
    return [
        *_stop_steps(facts),
        *_program_steps(facts),
        *_home_steps(facts, options),
        *_service_steps(facts, program),
        *_desktop_steps(facts, program, options),
        *_start_steps(facts, program, options),
    ]


def _stop_steps(facts: Facts) -> list[Step]:
    if not facts.service_runs:
        return []
    back = (StartService(facts.registered),) if facts.registered else ()
    return [Step("Stop the running service", "its files are about to be replaced", (StopService(),), back)]


def _program_steps(facts: Facts) -> list[Step]:
    source = facts.running.install_folder
    if source is None:
        return []
    steps = []
    if source != facts.target:
        steps.append(
            Step(
                f"Copy the program to {facts.target}",
                "a service that runs as LocalSystem must lie where users can't change it",
                (SwapProgram(source, facts.target),),
                (SwapBack(facts.target),),
            )
        )
    rights = tuple(Command(argv) for argv in acl.program_commands(facts.target / "daemon"))
    steps.append(Step("Keep users out of the daemon's program", "who may read a file may block it", rights))
    return steps


def _home_steps(facts: Facts, options: Options) -> list[Step]:
    steps = []
    foreign = facts.home_exists and facts.home_owner not in acl.TRUSTED_OWNERS
    if foreign and options.take_over:
        commands = tuple(Command(argv, timeout_s=300) for argv in acl.take_over_commands(facts.home))
        steps.append(Step(f"Take over {facts.home}", "a user made it and could change its rights", commands))
    folders = tuple(facts.home / name for name in (*acl.PRIVATE_FOLDERS, acl.PUBLIC_FOLDER))
    undo: tuple[Action, ...] = () if facts.home_exists else (DeleteFolder(facts.home),)
    steps.append(
        Step(
            f"Make the home folder {facts.home}",
            "configuration, state and logs live there",
            (*(() if facts.home_exists else (CreateHome(facts.home),)), CreateFolders(folders)),
            undo,
        )
    )
    rights = tuple(Command(argv) for argv in acl.home_commands(facts.home))
    steps.append(Step("Set the rights of the home folder", "users read 'public' and nothing else", rights))
    steps.append(
        Step(
            "Write the configuration templates",
            "files that are there already stay as they are",
            (CopyTemplates(facts.home / "config"),),
        )
    )
    return steps


def registration(facts: Facts, program: Program, scripts: PurePath, nssm: PurePath) -> Command:
    """The command that registers ``program`` with NSSM, new or again."""
    environment = {
        "RM_NSSM": str(nssm),
        "RM_PROGRAM": str(program.executable),
        "RM_ARGUMENTS": program.arguments,
        "RM_DIRECTORY": str(program.directory),
        "RM_HOME": str(facts.home),
    }
    return Command(("cmd.exe", "/d", "/c", str(scripts / "register.cmd")), environment, timeout_s=120)


def removal(scripts: PurePath, nssm: PurePath) -> Command:
    """The command that stops the service and removes it."""
    script = str(scripts / "unregister.cmd")
    return Command(("cmd.exe", "/d", "/c", script), {"RM_NSSM": str(nssm)}, timeout_s=120)


def _service_steps(facts: Facts, program: Program) -> list[Step]:
    nssm, scripts = _moved(facts, facts.nssm), _moved(facts, facts.scripts)
    if facts.registered:  # with the scripts that are running: the installed ones may just have been swapped back
        undo = registration(facts, facts.registered, facts.scripts, facts.nssm)
    else:
        undo = removal(facts.scripts, facts.nssm)
    delays = "restart/10000/restart/30000/restart/60000"
    return [
        Step(
            "Register the service with NSSM",
            "it starts with the machine, stops gracefully and is restarted when it ends",
            (registration(facts, program, scripts, nssm),),
            (undo,),
        ),
        Step(
            "Set who may control the service",
            "users may query it; only administrators stop or change it",
            (Command(("sc.exe", "sdset", SERVICE, acl.SERVICE_SDDL)),),
        ),
        Step(
            "Set the recovery of the service manager",
            "for the case that nssm.exe itself ends: restart after 10, 30, 60 s, counter reset after an hour",
            (Command(("sc.exe", "failure", SERVICE, "reset=", "3600", "actions=", delays)),),
        ),
        Step(
            "Recover also from an end with an error code",
            "otherwise the service manager restarts after a crash only",
            (Command(("sc.exe", "failureflag", SERVICE, "1")),),
            required=False,
        ),
        Step(
            "Keep the service in safe mode with networking",
            "a restart in safe mode would otherwise end the protection",
            (SetRegistry(SAFE_BOOT_KEY, None, "Service"),),
            () if facts.service_exists else (DeleteRegistry(SAFE_BOOT_KEY),),
            required=False,
        ),
        Step(
            "Register the event log's source",
            "start, stop, crash, enforcement and lockouts show in the Windows event log",
            (
                SetRegistry(SOURCE_KEY, "EventMessageFile", MESSAGE_FILE, expand=True),
                SetRegistry(SOURCE_KEY, "TypesSupported", 7),
            ),
            () if facts.service_exists else (DeleteRegistry(SOURCE_KEY),),
            required=False,
        ),
    ]


def _desktop_steps(facts: Facts, program: Program, options: Options) -> list[Step]:
    """What only an installed folder has: the entry in 'Apps', the start menu, the tray at logon."""
    folder = program.install_folder
    if folder is None:
        return []
    gui = folder / "gui" / "RiskManager.exe"
    uninstall = f"Start-Process -Verb RunAs -FilePath '{str(folder / 'uninstall.cmd').replace(chr(39), chr(39) * 2)}'"
    entry = {
        "DisplayName": "Risk Manager",
        "DisplayVersion": facts.version,
        "Publisher": "Risk Manager",
        "DisplayIcon": str(gui),
        "InstallLocation": str(folder),
        "UninstallString": f'powershell.exe -NoProfile -Command "{uninstall}"',
    }
    steps = [
        Step(
            "Add the entry under 'Apps'",
            "for uninstalling, and to know the installed version at the next upgrade",
            tuple(SetRegistry(UNINSTALL_KEY, name, value) for name, value in entry.items()),
            () if facts.service_exists else (DeleteRegistry(UNINSTALL_KEY),),
            required=False,
        ),
        Step(
            "Add Risk Manager to the start menu",
            "the trader opens his view there",
            (_shortcut(facts.start_menu / "Risk Manager.lnk", gui, facts.home),),
            required=False,
        ),
    ]
    if options.autostart:
        steps.append(
            Step(
                "Start the tray app at logon",
                "for every user; --no-autostart leaves it out",
                (SetRegistry(RUN_KEY, RUN_VALUE, f'"{gui}" --minimized --home "{facts.home}"'),),
                () if facts.service_exists else (DeleteRegistry(RUN_KEY, RUN_VALUE),),
                required=False,
            )
        )
    return steps


def _start_steps(facts: Facts, program: Program, options: Options) -> list[Step]:
    steps = []
    if options.start:
        steps.append(
            Step(
                "Start the service",
                "and wait until the daemon says that it watches",
                (StartService(program),),
                (StopService(),),
            )
        )
    source = facts.running.install_folder
    if source is not None and source != facts.target:
        steps.append(
            Step("Remove the previous program", "it is not needed any more", (DropOld(facts.target),), required=False)
        )
    return steps


def plan_uninstall(facts: Facts, *, purge: bool) -> list[Step]:
    """The steps that remove everything but the data, and with ``purge`` the data too. None is undone."""
    steps = [
        Step(
            "Stop and remove the service",
            "nothing watches the accounts from here on",
            (removal(facts.scripts, facts.nssm),),
        ),
        *(
            Step(title, "nothing of ours stays in the registry", (action,), required=False)
            for title, action in (
                ("Remove the safe-mode entry", DeleteRegistry(SAFE_BOOT_KEY)),
                ("Remove the event log's source", DeleteRegistry(SOURCE_KEY)),
                ("Remove the entry under 'Apps'", DeleteRegistry(UNINSTALL_KEY)),
                ("Remove the tray app from logon", DeleteRegistry(RUN_KEY, RUN_VALUE)),
            )
        ),
    ]
    folder = facts.running.install_folder
    if folder is not None:
        shortcut = facts.start_menu / "Risk Manager.lnk"
        steps.append(Step("Remove it from the start menu", "", (DeleteFolder(shortcut),), required=False))
    if purge:
        why = "configuration, state, logs and journal: asked for with --purge"
        steps.append(Step(f"Delete the data in {facts.home}", why, (DeleteFolder(facts.home),)))
    if folder is not None and folder == facts.target:
        why, delete = "as soon as this command has ended", (DeleteProgramLater(folder),)
        steps.append(Step(f"Delete the program in {folder}", why, delete, required=False))
    elif facts.target_is_ours:
        why, delete_now = "it was installed there", (DeleteFolder(facts.target),)
        steps.append(Step(f"Delete the program in {facts.target}", why, delete_now, required=False))
    return steps


def _shortcut(link: PurePath, program: PurePath, home: PurePath) -> Command:
    def quoted(path: PurePath) -> str:
        return "'" + str(path).replace("'", "''") + "'"

    script = (
        f"$s = (New-Object -ComObject WScript.Shell).CreateShortcut({quoted(link)}); "
        f"$s.TargetPath = {quoted(program)}; $s.Arguments = '--home ' + [char]34 + {quoted(home)} + [char]34; $s.Save()"
    )
    argv = ("powershell.exe", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-Command", script)
    return Command(argv, creates=link)


def next_steps(facts: Facts, started: bool) -> Sequence[str]:
    """What the administrator does after an installation."""
    accounts = facts.home / "config" / "accounts.yaml"
    if started:
        return [
            "The trader's view is in the start menu, and on the tray from the next logon; it can only read and lock.",
            "Accounts, keys and limits: choose 'Admin...' in the tray's menu (Windows asks for an administrator), "
            "then Set-up.",
            "Let the trader work with a standard account: a local administrator can end any protection.",
        ]
    folder = installed_program(facts).install_folder
    steps = [
        *([f'Stay administrator, and go to the program: cd /d "{folder}"'] if folder is not None else []),
        f"Look over {accounts}, and risk_config.yaml beside it (keys come later, in the admin window).",
        f'Check it: riskd check --home "{facts.home}"',
        "Start the service: riskd service start",
    ]
    return [f"{number}. {step}" for number, step in enumerate(steps, start=1)]
