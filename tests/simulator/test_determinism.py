"""Same seed and script: byte-identical event log, in every process."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from daemon.simulator import SimulatorConfig, run_script
from daemon.simulator.eventlog import EventLog
from daemon.simulator.script import parse

ROOT = Path(__file__).parents[2]
SCRIPT = """
quotes_per_second: 50
steps:
  - {at: 0.1, buy: {account: 101, symbol: MNQ, size: 3, brackets: {stop_loss: 8, take_profit: 8}}}
  - {at: 0.2, sell: {account: 102, symbol: ES, size: 2, kind: trailing_stop, trail: 2}}
  - {at: 1, fault: {effect: fills, chunk: 1, interval: 0.3, probability: 0.5}}
  - {at: 2, sell: {account: 201, symbol: GC, size: 4}}
  - {at: 3, buy: {account: 201, symbol: GC, size: 6}}
  - {at: 4, buy: {account: 202, symbol: CL, size: 5, kind: limit, limit: 60.02}}
  - {at: 5, trade: {account: 202, symbol: NQ, pnl: -250.25, fees: 2.8}}
  - {at: 6, void: {account: 202, trade: 999}}
  - {at: 20, cancel_all: {account: 101}}
  - {at: 20, cancel_all: {account: 102}}
"""
PROGRAM = """
import sys
from daemon.simulator import SimulatorConfig, run_script
from daemon.simulator.script import parse
sys.stdout.buffer.write(run_script(parse(sys.argv[1], "s"), SimulatorConfig(seed=int(sys.argv[2]))).log.dump())
"""


def log_of(seed: int) -> bytes:
    return run_script(parse(SCRIPT, "s"), SimulatorConfig(seed=seed)).log.dump()


def test_two_runs_in_one_process_are_the_same() -> None:
    first = log_of(1)
    assert first == log_of(1)
    assert first.count(b"\n") > 1000
    for kind in (b"order", b"trade", b"position", b"account", b"quote", b"fault", b"step", b"step_failed"):
        assert b'"kind":"' + kind + b'"' in first


def test_another_seed_gives_another_log() -> None:
    assert log_of(1) != log_of(2)


def test_processes_with_different_hash_seeds_write_the_same_bytes() -> None:
    outputs = []
    for hash_seed in ("0", "4711"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", PROGRAM, SCRIPT, "5"]
        done = subprocess.run(command, capture_output=True, timeout=60, check=True, env=environment, cwd=ROOT)
        outputs.append(done.stdout)
    assert outputs[0] == outputs[1] == log_of(5)


def test_time_may_be_cut_in_any_pieces() -> None:
    whole, pieces = parse(SCRIPT, "s"), parse(SCRIPT, "s")
    first = run_script(whole, SimulatorConfig(seed=3), seconds=10)
    second = run_script(pieces, SimulatorConfig(seed=3), seconds=0)
    for _ in range(1000):
        second.clock.advance(0.01)
    assert first.log.digest() == second.log.digest()
    assert first.log.count > 400


def test_digest_covers_lines_that_are_no_longer_kept() -> None:
    short, long = EventLog(2), EventLog(100)
    for log in (short, long):
        for number in range(5):
            log.write(number, "x", {"b": 1, "a": number})
    assert len(short.lines) == 2
    assert short.digest() == long.digest() == hashlib.sha256(long.dump()).hexdigest()
    assert short.lines == long.lines[-2:]
