"""The command line of the daemon. Each command imports what it needs when it runs."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from collections.abc import Iterator, Sequence

from shared.arguments import add_home

USAGE_ERROR = 2
TERMINATED = 143
"""As shells have it: 128 and the number of SIGTERM."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="riskd",
        description="Watches futures trading accounts on the ProjectX Gateway and enforces risk rules.",
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, help_text: str, *, home: bool = False) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=help_text, description=help_text)
        if home:
            add_home(made)
        return made

    command("run", "Run the daemon until Ctrl+C, SIGTERM or the service's stop.", home=True)
    demo = command("demo", "Show every rule at work against a simulated gateway; nothing to set up.")
    demo.add_argument("--headless", action="store_true", help="without the window")
    demo.add_argument("--seed", type=int, default=7, metavar="N", help="seed of the simulated market (default: 7)")
    demo.add_argument(
        "--speed", type=_positive, default=1.0, metavar="X", help="run the script X times as fast (default: 1)"
    )
    demo.add_argument("--duration", type=_positive, metavar="S", help="with the window: close it after S seconds")
    simulate = command("simulate", "Run the simulated ProjectX gateway alone.")
    simulate.add_argument(
        "--port", type=_port, default=0, metavar="P", help="TCP port on 127.0.0.1 (default: any free one)"
    )
    simulate.add_argument(
        "--seed", type=int, metavar="N", help="seed of the simulated market (default: the script's, else 1)"
    )
    simulate.add_argument("--script", metavar="FILE", help="scenario to play, a YAML file")
    command("check", "Check all configuration files and print every error.", home=True)
    replay = command(
        "replay", "Run a recorded day through a configuration and print what it would have done.", home=True
    )
    replay.add_argument(
        "journal", metavar="JOURNAL", help="a trading day, such as 2026-12-02, or a file of data/journal"
    )
    replay.add_argument("--config", metavar="FILE", help="another risk_config.yaml, shown side by side")
    status = command("status", "Ask the running daemon for its state and that of every account.", home=True)
    status.add_argument("--json", action="store_true", help="print the whole answer as JSON")
    # Its own options are parsed where they are carried out; see `main`.
    command("service", "Install, remove or control the Windows service (riskd service --help).")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; give a number from 0 to 65535")
    return int(text)


@contextlib.contextmanager
def _ended_by_sigterm(code: int) -> Iterator[None]:
    """Until a command has handlers of its own, as after it has: a stop that was asked for is no crash."""
    try:
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(code))
    except ValueError:  # not the main thread: a test
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _positive(text: str) -> float:
    with contextlib.suppress(ValueError):
        number = float(text)
        if 0 < number < 1e6:
            return number
    raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0 and below 1000000")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0 fine, 1 failed, 2 bad usage or bad configuration."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["service"]:
        from daemon.windows.service import main as service

        return service(words[1:])
    if words[:1] == ["what-if"]:
        # Not for people: the daemon starts itself again by this to run a day through another configuration.
        from daemon.what_if import child

        return child(words[1:])
    if words[:1] == ["--version"]:
        from daemon.options import program_version

        sys.stdout.write(f"Risk Manager {program_version()}\n")
        return 0
    try:
        options = _parser().parse_args(words)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else USAGE_ERROR
    try:
        with _ended_by_sigterm(0 if options.command in ("run", "simulate") else TERMINATED):
            return _run(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 1


def _run(options: argparse.Namespace) -> int:
    if options.command == "run":
        from daemon.commands.run import run

        return run(options.home)
    if options.command == "demo":
        from daemon.commands.demo import demo

        return demo(headless=options.headless, seed=options.seed, speed=options.speed, duration=options.duration)
    if options.command == "simulate":
        from daemon.commands.simulate import simulate

        return simulate(options.port, options.seed, options.script)
    if options.command == "check":
        from daemon.commands.check import check

        return check(options.home)
    if options.command == "replay":
        from daemon.commands.replay import replay

        return replay(options.journal, options.home, options.config)
    from daemon.commands.status import status

    return status(options.home, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
