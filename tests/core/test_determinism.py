"""Law 8: the same events give the same decisions, in any process, whatever the order of its sets."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

from shared.config import RiskConfig
from shared.models import OrderType
from tests.core.desk import ES, MNQ, NQ, RTY
from tests.core.test_laws import EVERYTHING, HOURS
from tests.core.world import World

ROOT = Path(__file__).parents[2]


def digest(seed: int) -> str:
    """A long random day through every rule, as a hash of all that was decided."""
    chance = random.Random(seed)
    limits = {"MNQ": 4, "NQ": 3, "ENQ": 2, "ES": 3, "EP": 2}
    chosen = EVERYTHING | HOURS | {"max_contracts_per_instrument": {"limits": limits}}
    world = World(RiskConfig.model_validate({"rules": chosen}), accounts=(101, 102, 103))
    texts: list[str] = []
    for _ in range(250):
        account = chance.choice(world.account_ids)
        contract = chance.choice((MNQ, MNQ, ES, NQ, RTY))
        kind = chance.random()
        if kind < 0.25:
            world.fill(account, contract, chance.choice((-2, -1, 1, 2)))
            world.deliver(twice=chance.random() < 0.2)
        elif kind < 0.35:
            world.place(account, contract, chance.choice((-2, 1)), OrderType.STOP, chance.randint(-50, 50))
            world.deliver()
        elif kind < 0.7:
            world.move(contract, chance.randint(-60, 60))
        elif kind < 0.8:
            world.wait(chance.choice((1, 12, 61, 1000)))
        elif kind < 0.85:
            texts += [text for _, text in world.log]
            world.restart()
        else:
            world.enforce(account)
    texts += [text for _, text in world.log]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def test_decisions_are_the_same_in_processes_with_other_hash_seeds() -> None:
    command = [sys.executable, "-c", "from tests.core.test_determinism import digest; print(digest(7))"]
    processes = [
        subprocess.Popen(
            command,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "4242")
    ]
    expected = digest(7)
    assert [process.communicate(timeout=60)[0].strip() for process in processes] == [expected, expected]


def test_another_day_decides_otherwise() -> None:
    assert digest(7) != digest(8)
