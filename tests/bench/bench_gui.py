"""Speed and size of the window: start, memory, CPU at rest and under quotes, how soon an enforcement is seen, leaks.

    python -m tests.bench.bench_gui [--quick]

The real program runs in a process of its own (offscreen unless QT_QPA_PLATFORM says otherwise) against a daemon that
only sends what it is told to. Each figure is printed beside its limit; the exit code is 1 if one is missed. Run it on a
quiet machine: CPU figures are those of the process, latencies are not.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from shared.paths import Home
from tests.gui import sample
from tests.gui.fake_daemon import FakeDaemon, fake_daemon

ROOT = Path(__file__).parents[2]
MIB = 1024 * 1024

CHILD = """
import sys, time
import gui.app as app
from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QApplication

make_application = app.make_application

class Probe(QObject):
    # Prints when the window is painted first, and each time the banner of a lock is painted after it was hidden.
    def __init__(self):
        super().__init__()
        self.first = True
        self.seen = False

    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.Paint:
            name = type(watched).__name__
            if self.first and name == "TraderWindow":
                self.first = False
                print("window", time.monotonic_ns(), flush=True)
            elif name == "Banner" and watched.property("tone") == "locked" and not self.seen:
                self.seen = True
                print("banner", time.monotonic_ns(), flush=True)
        elif event.type() == QEvent.Type.Hide and type(watched).__name__ == "Banner":
            self.seen = False
        return False

def make(settings):
    qt = make_application(settings)
    global probe
    probe = Probe()
    if PROBE:
        qt.installEventFilter(probe)
    return qt

app.make_application = make
from gui.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


@dataclass
class Figure:
    """A measured figure and its limit, both in `unit`."""

    name: str
    value: float
    limit: float
    unit: str

    @property
    def held(self) -> bool:
        return self.value <= self.limit


class Program:
    """The GUI in its own process. `page` is the one it opens on."""

    def __init__(self, home: Home, folder: Path, page: str, *, probe: bool) -> None:
        config = folder / "config" / "RiskManager"
        config.mkdir(parents=True, exist_ok=True)
        (config / "RiskManagerWindow.ini").write_text(
            f"[start]\noffered=true\n[view]\npage={page}\naccount={sample.APEX}\n[notices]\nsounds=false\n",
            encoding="utf-8",
        )
        environment = {"QT_QPA_PLATFORM": "offscreen", **os.environ, "XDG_CONFIG_HOME": str(folder / "config")}
        self.started = time.monotonic_ns()
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD.replace("PROBE", str(probe)), "--home", str(home.root)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.lines: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
        self._reader = asyncio.create_task(asyncio.to_thread(self._read, asyncio.get_running_loop()))
        self._usage = psutil.Process(self.process.pid)

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            name, _, at = line.strip().partition(" ")
            if at.isdecimal():
                loop.call_soon_threadsafe(self.lines.put_nowait, (name, int(at)))

    async def next(self, name: str, seconds: float = 20.0) -> int:
        """Monotonic nanoseconds of the next line of that name."""
        async with asyncio.timeout(seconds):
            while True:
                found, at = await self.lines.get()
                if found == name:
                    return at

    def memory(self) -> float:
        """Resident memory in MiB."""
        return float(self._usage.memory_info().rss) / MIB

    async def cpu(self, seconds: float, meanwhile: Callable[[], Awaitable[None]] | None = None) -> float:
        """Per cent of one core over a time in which `meanwhile` runs (or nothing)."""
        before, begun = self._usage.cpu_times(), time.monotonic()
        if meanwhile is None:
            await asyncio.sleep(seconds)
        else:
            await meanwhile()
        after = self._usage.cpu_times()
        used = after.user + after.system - before.user - before.system
        return 100.0 * used / (time.monotonic() - begun)

    async def close(self) -> None:
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        self.process.kill()
        await self._reader


@asynccontextmanager
async def running(page: str, *, probe: bool) -> AsyncIterator[tuple[FakeDaemon, Program]]:
    """A daemon and the program, connected and settled."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        async with fake_daemon(home) as daemon:
            program = Program(home, Path(folder), page, probe=probe)
            try:
                async with asyncio.timeout(20):
                    while not any(method == "get_enforcement_log" for method, _ in daemon.calls):  # noqa: ASYNC110
                        await asyncio.sleep(0.02)
                await asyncio.sleep(2.5)
                yield daemon, program
            finally:
                await program.close()


async def start_times(count: int) -> list[float]:
    """Seconds from the start of the process to the first painted window."""
    found = []
    for _ in range(count):
        with tempfile.TemporaryDirectory() as folder:
            home = Home(Path(folder) / "home")
            async with fake_daemon(home):
                program = Program(home, Path(folder), "overview", probe=True)
                try:
                    found.append((await program.next("window") - program.started) / 1e9)
                finally:
                    await program.close()
    return found


async def quotes(daemon: FakeDaemon, seconds: float, per_second: int = 200) -> None:
    """Positions and P&L change with every quote, as a daemon would send them that gathers nothing."""
    begun, sent = time.monotonic(), 0
    rows = sample.positions()
    while (gone := time.monotonic() - begun) < seconds:
        while sent < gone * per_second:
            move = (sent % 41 - 20) * 0.5
            rows[sent % 2] = rows[sent % 2] | {"unrealized": f"{move:.2f}"}
            if sent % 2:
                daemon.event("pnl", sample.APEX, sample.pnl("-318.26", f"{2 * move:.2f}", 9))
            else:
                daemon.event("positions", sample.APEX, rows)
            sent += 1
        await asyncio.sleep(0.005)


async def latencies(daemon: FakeDaemon, program: Program, count: int) -> list[float]:
    """Milliseconds from the daemon's sending of a lockout to the painted banner, under 200 quotes a second."""
    noise = asyncio.create_task(quotes(daemon, 3600))
    found = []
    try:
        for number in range(count):
            await asyncio.sleep(0.35 + 0.013 * number)
            sent = time.monotonic_ns()
            row = sample.enforcement(500 + number, 0, action_id=500 + number, id=None)
            daemon.event("enforcement", sample.APEX, row)
            daemon.event("lockouts", sample.APEX, [sample.lockout(100 + number)])
            found.append((await program.next("banner") - sent) / 1e6)
            daemon.event("lockouts", sample.APEX, [])
    finally:
        noise.cancel()
    return found


async def growth(daemon: FakeDaemon, program: Program, events: int) -> tuple[float, float]:
    """Memory in MiB after a first third of a long day's events and at its end: eight hours at ten a second."""

    async def send(first: int, last: int) -> None:
        for number in range(first, last):
            kind = number % 40
            if kind == 0:
                trade = sample.trades()[1] | {"id": 9000 + number // 40 % 400, "pnl": f"{number % 7 - 3}.00"}
                daemon.event("trades", sample.APEX, trade)
            elif kind == 20:
                row = sample.enforcement(2000 + number, 0, action_id=number, id=None, triggered_at=sample.ago(-number))
                daemon.event("enforcement", sample.APEX, row)
            elif kind % 2:
                daemon.event("pnl", sample.APEX, sample.pnl(f"{-(number % 500)}.00", f"{number % 90}.00", 9))
            else:
                daemon.event("positions", sample.APEX, sample.positions())
            if number % 50 == 0:
                await asyncio.sleep(0.02)

    await send(0, events // 3)
    await asyncio.sleep(2)
    early = program.memory()
    await send(events // 3, events)
    await asyncio.sleep(2)
    return early, program.memory()


async def measure(*, quick: bool) -> list[Figure]:
    """All figures."""
    starts = await start_times(3 if quick else 7)
    figures = [Figure("window up (median)", statistics.median(starts), 1.5, "s")]
    async with running("overview", probe=False) as (daemon, program):
        figures.append(Figure("resident memory, overview", program.memory(), 150, "MiB"))
        figures.append(Figure("CPU at rest", await program.cpu(5 if quick else 20), 1, "%"))
        seconds = 5.0 if quick else 20.0
        figures.append(
            Figure("CPU at 200 quotes/s, overview", await program.cpu(0, lambda: quotes(daemon, seconds)), 10, "%")
        )
    async with running("pnl", probe=False) as (daemon, program):
        figures.append(Figure("resident memory, with the curve", program.memory(), 150, "MiB"))
        figures.append(
            Figure(
                "CPU at 200 quotes/s, with the curve", await program.cpu(0, lambda: quotes(daemon, seconds)), 10, "%"
            )
        )
    async with running("overview", probe=True) as (daemon, program):
        seen = sorted(await latencies(daemon, program, 10 if quick else 40))
        figures.append(Figure("lockout sent to painted (median)", statistics.median(seen), 100, "ms"))
        figures.append(Figure("lockout sent to painted (worst)", seen[-1], 250, "ms"))
    async with running("positions", probe=False) as (daemon, program):
        early, late = await growth(daemon, program, 30_000 if quick else 288_000)
        figures.append(Figure("memory grown over a day's events", 100 * (late - early) / early, 5, "%"))
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions: about a minute")
    options = parser.parse_args()
    figures = asyncio.run(measure(quick=options.quick))
    for figure in figures:
        mark = "ok  " if figure.held else "MISS"
        print(f"{mark} {figure.name:40} {figure.value:9.2f} {figure.unit:4} (limit {figure.limit:g} {figure.unit})")
    return 0 if all(figure.held for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
