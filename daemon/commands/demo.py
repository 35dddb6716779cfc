"""`riskd demo`: the main job with nothing to set up."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from daemon.core.local_time import local_text
from daemon.demo.observer import Observer, summary
from daemon.demo.scenes import NEW_YORK, Scene, Stage, reset_at, scenes
from daemon.service import Options, Service, StartError
from daemon.simulator import Account, Login, Simulator, SimulatorConfig
from shared.models import RULE_BY_KEY
from shared.paths import Home

FIRST_ACCOUNT = 101
ACCOUNTS_A_LOGIN = 5
CONFIRM_SECONDS = 10.0


@dataclass(slots=True)
class Result:
    """How a scene ended."""

    scene: Scene
    enforced: bool
    done: str
    milliseconds: float | None
    until: str
    why: str = ""


def demo(*, headless: bool, seed: int, speed: float, duration: float | None) -> int:
    """Play every scene and print the table. Returns 0 when everything that had to be enforced was, else 1."""
    with tempfile.TemporaryDirectory(prefix="risk-manager-demo-", ignore_cleanup_errors=True) as folder:
        try:
            return asyncio.run(_demo(Path(folder), headless=headless, seed=seed, speed=speed, duration=duration))
        except asyncio.CancelledError:
            return 143  # SIGTERM; everything was stopped, and the folder goes


async def _demo(folder: Path, *, headless: bool, seed: int, speed: float, duration: float | None) -> int:
    task = asyncio.current_task()
    with contextlib.suppress(NotImplementedError):  # on Windows
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel if task else lambda: None)
    console = Console(width=None if sys.stdout.isatty() else 140)
    config = SimulatorConfig(seed=seed, quotes_per_second=0, logins=[])
    now = Simulator(config).clock.utc()
    played = scenes(now)
    ids = range(FIRST_ACCOUNT, FIRST_ACCOUNT + len(played))
    config.logins = _logins(ids)
    simulator = Simulator(config)
    await simulator.start()
    home = _write_home(folder, simulator, risk_config(played, ids, reset_at(now)))
    service = Service(Options(home, require_loopback=True, console_log=False, confirm_clock_seconds=0))
    window: subprocess.Popen[bytes] | None = None
    try:
        console.print(f"Simulated gateway on {simulator.api_url}; home folder {home.root}")
        try:
            await service.start()
        except StartError as error:
            print(error, file=sys.stderr)
            return error.exit_code
        observer = Observer()
        service.dispatcher.listeners.append(observer)
        if not headless:
            window = _open_window(home, console)
            if window is not None:
                await asyncio.sleep(2.0)
        results = [
            await _play(scene, Stage(simulator, account, speed), service, observer, console)
            for account, scene in zip(ids, played, strict=True)
        ]
        _print_table(console, results)
        if window is not None:
            await _while_open(window, duration, console)
    finally:
        if window is not None and window.poll() is None:
            window.terminate()
        await service.stop()
        await simulator.stop()
    return 0 if all(result.enforced for result in results) else 1


def _logins(ids: Sequence[int]) -> list[Login]:
    groups = [ids[start : start + ACCOUNTS_A_LOGIN] for start in range(0, len(ids), ACCOUNTS_A_LOGIN)]
    return [
        Login(f"trader{number}", f"demo-key-{number}", [Account(account, f"DEMO-{account}") for account in group])
        for number, group in enumerate(groups, start=1)
    ]


def risk_config(played: Sequence[Scene], ids: Sequence[int], reset: dict[str, str]) -> dict[str, Any]:
    """What risk_config.yaml has to say: for each account the rule of its scene."""
    return {
        "reset": reset,
        "ipc": {"port": 0},
        "accounts": {
            account: {"rules": {scene.key: {"enabled": True, **scene.settings}}}
            for account, scene in zip(ids, played, strict=True)
        },
    }


def _write_home(folder: Path, simulator: Simulator, risk: dict[str, Any]) -> Home:
    home = Home(folder)
    home.create()
    accounts = {
        "gateway": {
            "api_url": simulator.api_url,
            "user_hub_url": simulator.user_hub_url,
            "market_hub_url": simulator.market_hub_url,
        },
        "logins": [{"username": login.username, "api_key": login.api_key} for login in simulator.config.logins],
    }
    for path, content in (
        (home.accounts_file, accounts),
        (home.risk_config_file, risk),
        (home.holidays_file, {"dates": {}}),
    ):
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        path.chmod(0o600)
    return home


async def _play(scene: Scene, stage: Stage, service: Service, observer: Observer, console: Console) -> Result:
    name = RULE_BY_KEY[scene.key]
    observer.of(stage.account)
    console.print(f"[bold]{name.rule_id} {name.key}[/bold]: {scene.told}")
    why = ""
    try:
        await scene.play(stage)
    except Exception as error:  # noqa: BLE001 - the simulated broker refused the trader; the outcome decides
        why = f"the script failed: {error}"
    record = observer.of(stage.account)
    held = service.engine.account(stage.account)

    def settled() -> bool:
        locked = not scene.locks or any(lock.rule_id == name.rule_id for lock in record.lockouts) or bool(held.locks)
        return scene.done(stage) and locked and bool(record.actions) and not record.unconfirmed()

    enforced = await stage.until(settled, CONFIRM_SECONDS)
    symbols = {contract: service.engine.market.symbol(contract) for contract in service.engine.market.contracts}
    until = ""
    own = [lock for lock in (*record.lockouts, *held.locks.values()) if lock.rule_id == name.rule_id]
    if own:
        ends = own[-1].expires_at
        until = "trading is allowed again" if own[-1].kind == "api" else "its condition ends"
        if ends is not None:
            until = local_text(ends, service.clock.now(), NEW_YORK)
    elif scene.locks:
        why = why or "no lockout was set"
    if not enforced and not why:
        why = "the broker does not show it"
    done = summary(record.actions, symbols)
    milliseconds = record.milliseconds()
    took = f" in {milliseconds:.1f} ms" if milliseconds is not None else ""
    locked = f"; locked until {until}" if until else ""
    console.print(f"    {done}{took}{locked}" if enforced else f"    [red]NOT ENFORCED: {why}[/red]")
    return Result(scene, enforced, done, milliseconds, until, why)


def _print_table(console: Console, results: Sequence[Result]) -> None:
    table = Table(title="What was enforced", show_lines=False)
    for title in ("Rule", "Breach", "Closed, cancelled", "ms", "Lockout until"):
        table.add_column(title, justify="right" if title == "ms" else "left", no_wrap=title != "Closed, cancelled")
    for result in results:
        name = RULE_BY_KEY[result.scene.key]
        milliseconds = "" if result.milliseconds is None else f"{result.milliseconds:.1f}"
        style = None if result.enforced else "red"
        done = result.done if result.enforced else f"NOT ENFORCED: {result.why}"
        table.add_row(f"{name.rule_id} {name.key}", result.scene.told, done, milliseconds, result.until, style=style)
    console.print(table)
    console.print("ms: from the event's arrival to the broker's own confirmation, the slowest of the actions.")
    missed = sum(1 for result in results if not result.enforced)
    console.print(f"{len(results) - missed} of {len(results)} rules enforced.")


def _open_window(home: Home, console: Console) -> subprocess.Popen[bytes] | None:
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        console.print("There is no display: going on without the window.")
        return None
    if getattr(sys, "frozen", False):
        program = Path(sys.executable).parent.parent / "gui" / "RiskManager.exe"
        command = [str(program), "--home", str(home.root)]
    else:
        command = [sys.executable, "-m", "gui", "--home", str(home.root)]
    log = home.logs / "window.log"
    try:
        with log.open("wb") as output:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
    except OSError as error:
        console.print(f"The window could not be opened ({error.strerror}): going on without it.")
        return None


async def _while_open(window: subprocess.Popen[bytes], duration: float | None, console: Console) -> None:
    console.print("Close the window, or press Ctrl+C, to end the demonstration.")
    loop = asyncio.get_running_loop()
    deadline = None if duration is None else loop.time() + duration
    with contextlib.suppress(asyncio.CancelledError):
        while window.poll() is None and (deadline is None or loop.time() < deadline):  # noqa: ASYNC110
            await asyncio.sleep(0.2)
