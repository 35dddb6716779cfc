"""``riskd service install|uninstall|start|stop|restart|status``: the command line of the Windows service."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath

from daemon.windows import plan, refusals
from daemon.windows.active_lockouts import ActiveLockout, UnreadableDatabaseError, active_lockouts
from daemon.windows.control import ABSENT, PAUSED, RUNNING, Control, ask_status, endpoint_of
from daemon.windows.execution import Executor, SkippedError, StepError
from daemon.windows.facts import Facts, Options
from daemon.windows.permission import Wish, refusal
from daemon.windows.probe import default_target, gather, nssm_path, registered_home, running_program
from daemon.windows.steps import Step
from shared.arguments import folder
from shared.paths import Home, find_home

OK, FAILED, BAD_USAGE = 0, 1, 2
NOT_INSTALLED = "the service is not installed; run: riskd service install"
ASKED = ("install", "uninstall", "stop", "restart")
"""Commands that have a running service down, for good or for seconds: the daemon says whether they may."""


def main(argv: Sequence[str]) -> int:
    """Run ``riskd service`` with the arguments after ``service``. Returns the exit code: 0, 1 failed, 2 bad usage."""
    if sys.platform != "win32" and not {"-h", "--help"} & set(argv):
        return _complain("riskd service works on Windows only; here, run the daemon with: riskd run", BAD_USAGE)
    return command(argv)


def command(argv: Sequence[str]) -> int:
    """As `main`, wherever there is an nssm.exe."""
    try:
        arguments = _parser().parse_args(list(argv))
    except SystemExit as stop:  # argparse has said what is wrong, or printed the help
        return int(stop.code or 0)
    try:
        return _dispatch(arguments)
    except StepError as error:
        return _complain(_sentence(str(error)), FAILED)
    except KeyboardInterrupt:
        return _complain("Interrupted. See whether the service runs (riskd service status), else start it.", FAILED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="riskd service", description="The Windows service that runs the daemon.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")

    install = command("install", "install or upgrade; keeps configuration, state and lockouts")
    install.add_argument("--target", metavar="DIR", help="where the program goes (default: below Program Files)")
    install.add_argument("--take-over", action="store_true", help="use a home folder that a user made")
    install.add_argument("--allow-downgrade", action="store_true", help="put an older version over a newer one")
    install.add_argument("--no-start", action="store_true", help="register the service without starting it")
    install.add_argument("--no-autostart", action="store_true", help="do not start the tray app at logon")
    install.add_argument("--dry-run", action="store_true", help="print the steps and their reasons, change nothing")
    uninstall = command("uninstall", "remove the service and the program")
    data = uninstall.add_mutually_exclusive_group()
    data.add_argument("--keep-data", action="store_true", help="keep configuration, state and logs")
    data.add_argument("--purge", action="store_true", help="delete configuration, state and logs too")
    uninstall.add_argument("--yes", action="store_true", help="with --purge: delete without asking again")
    uninstall.add_argument("--although-locked", action="store_true", help="end active lockouts; recorded by the daemon")
    uninstall.add_argument("--target", metavar="DIR", help=argparse.SUPPRESS)
    uninstall.add_argument("--dry-run", action="store_true", help="print the steps and their reasons, change nothing")
    for name, text in (
        ("start", "start the service and wait until the daemon watches"),
        ("stop", "stop the service gracefully"),
        ("restart", "stop and start; locks stay"),
        ("status", "print the state; exit code 0 when it runs, else 1"),
    ):
        command(name, text)
    for name in ASKED:
        code = "the current code of the second factor, if one is set up"
        commands.choices[name].add_argument("--second-factor", metavar="CODE", help=code)
    for made in commands.choices.values():
        made.add_argument("--home", type=folder, metavar="DIR", help="home folder (default: the installed service's)")
    return parser


def _dispatch(arguments: argparse.Namespace) -> int:
    home = _home(arguments)
    control = Control(nssm_path(), home)
    match arguments.command:
        case "install":
            return _install(arguments, home, control)
        case "uninstall":
            return _uninstall(arguments, home, control)
        case "status":
            return _status(home, control)
        case "start":
            _say(_started(control))
        case "stop":
            _require_permission(home, control, Wish("stop", second_factor=arguments.second_factor))
            control.stop()
            _say("The service is stopped: nothing watches the accounts.")
        case _:
            _restart(arguments, home, control)
    return OK


def _home(arguments: argparse.Namespace) -> Home:
    """What the installed service uses, else ``--home``, else as everywhere.

    Raises StepError for another ``--home`` than the service's: it is the service's own daemon that must be asked if
    it may be stopped, and its own home in which lockouts go on.
    """
    wished = find_home(arguments.home)
    if not nssm_path().exists():
        return wished
    control = Control(nssm_path(), wished)
    registered = registered_home(control) if control.state() != ABSENT else None
    if registered is None:
        return wished
    if arguments.home is not None and arguments.command != "status" and not same_folder(wished.root, registered):
        move = "; to move it, uninstall it first with --keep-data" if arguments.command == "install" else ""
        raise StepError(f"the installed service uses the home folder {registered}: say no other --home{move}")
    return wished if arguments.home is not None else Home(registered)


def same_folder(one: Path, other: Path) -> bool:
    """Whether both names lead to one folder; upper and lower case are alike where the system takes them so."""
    try:
        return one.samefile(other)
    except OSError:
        return os.path.normcase(one.absolute()) == os.path.normcase(other.absolute())


def _require_permission(home: Home, control: Control, wish: Wish) -> None:
    """Raises StepError when the running daemon does not let it happen; what does not run needs no permission."""
    if control.state() in {RUNNING, PAUSED} and (refused := refusal(home, wish)):
        raise StepError(refused)


def _restart(arguments: argparse.Namespace, home: Home, control: Control) -> None:
    """Raises StepError. What could not start again is not stopped."""
    if control.state() == ABSENT:
        raise StepError(NOT_INSTALLED)
    _require_permission(home, control, Wish("restart", second_factor=arguments.second_factor))
    try:
        control.check(running_program())
    except SkippedError as error:
        raise StepError(f"the service was left as it is, because {error}") from error
    control.stop()
    _say(_started(control))


def _started(control: Control) -> str:
    state = control.state()
    if state == ABSENT:
        raise StepError(NOT_INSTALLED)
    try:
        return f"The service is {control.start(running_program())}."
    except SkippedError as error:
        raise StepError(str(error)) from error


def _status(home: Home, control: Control) -> int:
    state = control.state()
    endpoint = endpoint_of(home) if state == RUNNING else None
    _say(f"Service  {'not installed' if state == ABSENT else state.removeprefix('SERVICE_').lower()}")
    if endpoint is not None:
        said = ask_status(endpoint) or "does not answer"
        _say(f"Daemon   {said}, version {endpoint.version}, process {endpoint.pid}, port {endpoint.port}")
    _say(f"Home     {home.root}")
    return OK if state == RUNNING else FAILED


def _install(arguments: argparse.Namespace, home: Home, control: Control) -> int:
    facts = gather(home, PureWindowsPath(arguments.target) if arguments.target else default_target())
    options = Options(
        take_over=arguments.take_over,
        allow_downgrade=arguments.allow_downgrade,
        start=not arguments.no_start,
        autostart=not arguments.no_autostart,
    )
    found = refusals.install_refusals(facts, options)
    if found:
        return _refuse("Nothing was changed", found)
    for warning in refusals.install_warnings(facts):
        _say(f"[warning]  {warning}")
    steps = plan.plan_install(facts, options)
    if arguments.dry_run:
        return _show(steps)
    wish = Wish("replace the running program", second_factor=arguments.second_factor)
    if facts.service_runs and (refused := refusal(home, wish)):
        return _refuse("Nothing was changed", [refused])
    executor = Executor(_say, control.start, control.stop)
    if not executor.carry_out(steps):
        return _complain("The installation failed; what it had done was undone.", FAILED)
    started = options.start and not executor.skipped
    _say("")
    _say("Installed. Next:" if started else "Installed, but not running yet. Next:")
    for line in plan.next_steps(facts, started):
        _say(f"  {line}")
    return OK


def _uninstall(arguments: argparse.Namespace, home: Home, control: Control) -> int:
    facts = gather(home, _installed_target(arguments.target))
    found = refusals.uninstall_refusals(facts)
    if found:
        return _refuse("Nothing was changed", found)
    purge = _asked_to_purge(arguments, facts)
    if purge is None:
        return _complain(
            "Nothing was changed: say --keep-data, or --purge --yes to delete the data as well.", BAD_USAGE
        )
    steps = plan.plan_uninstall(facts, purge=purge)
    if arguments.dry_run:
        return _show(steps)
    wish = Wish("uninstall", _locked(home), arguments.although_locked, arguments.second_factor)
    refused = refusal(home, wish)
    if refused:
        return _refuse("Nothing was changed", [refused])
    if not Executor(_say, control.start, control.stop).carry_out(steps):
        return _complain("The uninstallation is not complete; correct what failed above and run it again.", FAILED)
    _say("")
    if not purge:
        _say(f"Removed. The data is still in {facts.home}; installing again goes on with it.")
    _say("API keys stay in the vault of the account that ran the service: revoke them at the broker if you are done.")
    return OK


def _installed_target(explicit: str | None) -> PureWindowsPath:
    return PureWindowsPath(explicit) if explicit else default_target()


def _locked(home: Home) -> str | None:
    """The sentence that says which lockout stands, None when there is none."""
    try:
        lockouts = active_lockouts(home.database)
    except UnreadableDatabaseError as error:
        return f"{_sentence(str(error))} Whether an account is locked is unknown, and unknown counts as locked."
    return locked_sentence(lockouts)


def locked_sentence(lockouts: Sequence[ActiveLockout]) -> str | None:
    """Names the first lockout and how many more there are."""
    if not lockouts:
        return None
    first = lockouts[0]
    until = "until its condition ends" if first.expires_at is None else f"until {first.expires_at:%Y-%m-%d %H:%M} UTC"
    more = f", and {len(lockouts) - 1} more" if len(lockouts) > 1 else ""
    return f"Account {first.account_id} is locked by {first.rule_id} {until}{more}."


def _asked_to_purge(arguments: argparse.Namespace, facts: Facts) -> bool | None:
    """Whether to delete the data; None when nobody can be asked."""
    if arguments.keep_data:
        return False
    if arguments.dry_run or (arguments.purge and arguments.yes):
        return bool(arguments.purge)
    if not sys.stdin or not sys.stdin.isatty():
        return None
    question = f"Delete configuration, state, logs and journal in {facts.home}? Type 'delete' to do so: "
    try:
        return input(question).strip().lower() == "delete"
    except EOFError:
        return None


def _show(steps: Sequence[Step]) -> int:
    for step in steps:
        _say(f"[would do] {step.title}" + (f": {step.why}" if step.why else ""))
    return OK


def _refuse(opening: str, found: Sequence[str]) -> int:
    for sentence in found:
        sys.stderr.write(f"{sentence}\n")
    return _complain(f"{opening}.", FAILED)


def _complain(sentence: str, code: int) -> int:
    sys.stderr.write(f"{sentence}\n")
    return code


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
