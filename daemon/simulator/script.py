"""Scenario scripts: YAML or JSON, checked as a whole before anything runs, executed in broker time.

    seed: 7
    start: 2026-11-02T14:30:00Z
    quotes_per_second: 5
    logins:
      - {username: trader1, api_key: key-1, accounts: [{id: 101, balance: 50000}]}
    steps:
      - {at: 0.5, buy: {account: 101, symbol: MNQ, size: 2}}
      - {at: 2, fault: {effect: http_status, status: 503, path: "Order/*", count: 1}}
      - {at: 3, quote: {symbol: MNQ, bid: 24990, ask: 24990.25}}

Everything but `steps` is optional. `at` is seconds after the start. With the same seed and script (and no client that
interferes) the event log is the same to the byte, in every process.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from daemon.simulator import actions
from daemon.simulator.clock import SECOND, from_us, parse_stamp
from daemon.simulator.config import Account, Login, SimulatorConfig
from daemon.simulator.contracts import micro_dollars

if TYPE_CHECKING:
    from daemon.simulator.simulator import Simulator

Check = Callable[[Any], bool]


class ScriptError(Exception):
    """What is wrong with a script, in one sentence that names the file and the key."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do, `at` seconds after the start."""

    at: float
    action: str
    fields: dict[str, Any]


@dataclass(slots=True)
class Script:
    """A checked script. `seed` None: the caller's."""

    steps: list[Step] = field(default_factory=list)
    seed: int | None = None
    start: dt.datetime | None = None
    speed: float | None = None
    quotes_per_second: float | None = None
    logins: list[Login] | None = None

    def apply_to(self, config: SimulatorConfig) -> SimulatorConfig:
        """Put the script's settings into a configuration (changed in place and returned)."""
        for name in ("seed", "start", "speed", "quotes_per_second", "logins"):
            value = getattr(self, name)
            if value is not None:
                setattr(config, name, value)
        return config

    @property
    def end(self) -> float:
        """Seconds from the start to the last step."""
        return max((step.at for step in self.steps), default=0.0)

    def schedule(self, sim: Simulator) -> None:
        """Plan all steps from the simulator's present time on. A step that fails is logged, the others go on."""
        start = sim.now()
        for step in self.steps:
            sim.schedule.at(start + round(step.at * SECOND), partial(self._run, sim, step))

    @staticmethod
    def _run(sim: Simulator, step: Step, at: int) -> None:
        sim.log.write(at, "step", {"action": step.action, "fields": step.fields})
        try:
            actions.run(sim, step.action, step.fields)
        except (LookupError, ValueError) as error:
            sim.log.write(at, "step_failed", {"action": step.action, "error": str(error)})


def load(path: Path) -> Script:
    """Read and check a script file. ScriptError."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ScriptError(f"{path}: there is no such file.") from None
    except UnicodeDecodeError as error:
        raise ScriptError(f"{path}: cannot be read (it is no text in UTF-8).") from error
    except OSError as error:
        raise ScriptError(f"{path}: cannot be read ({error.strerror}).") from error
    return parse(text, str(path))


def parse(text: str, name: str) -> Script:
    """Check a script's text; `name` stands for it in errors. ScriptError."""
    try:
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        raise ScriptError(f"{name}: line {line}: not valid YAML ({error.problem}).") from error
    except yaml.YAMLError as error:
        raise ScriptError(f"{name}: not valid YAML ({error}).") from error
    if not isinstance(data, dict):
        raise ScriptError(f"{name}: the script must be a mapping with the key steps.")
    reader = _Reader(name)
    reader.keys("", data, {"seed", "start", "speed", "quotes_per_second", "logins", "steps"})
    if "steps" not in data:
        raise ScriptError(f"{name}: steps: missing.")
    start = data.get("start")
    return Script(
        steps=reader.steps(data["steps"]),
        seed=reader.value("", data, "seed", _integer, "a whole number"),
        start=None if start is None else reader.moment(start),
        speed=reader.value("", data, "speed", lambda v: _number(v) and v > 0, "a number above 0"),
        quotes_per_second=reader.value(
            "", data, "quotes_per_second", lambda v: _number(v) and v >= 0, "a number of 0 or more"
        ),
        logins=reader.logins(data["logins"]) if "logins" in data else None,
    )


def run(script: Script, config: SimulatorConfig | None = None, seconds: float | None = None) -> Simulator:
    """Run a script without network and without waiting (manual clock) and return the simulator for a look inside.

    `seconds`: how long in broker time (default: to the last step).
    """
    from daemon.simulator.simulator import Simulator

    config = script.apply_to(config or SimulatorConfig())
    config.manual_clock = True
    config.start = config.start or from_us(parse_stamp("2026-01-05T15:00:00Z"))
    sim = Simulator(config)
    script.schedule(sim)
    sim.clock.advance(script.end if seconds is None else seconds)
    return sim


def _integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class _Reader:
    """Checks plain data and names the place of what is wrong."""

    def __init__(self, name: str) -> None:
        self._name = name

    def fail(self, key: str, problem: str) -> ScriptError:
        return ScriptError(f"{self._name}: {key}: {problem}.")

    def keys(self, path: str, data: dict[Any, Any], known: set[str]) -> None:
        for key in data:
            if key not in known:
                raise self.fail(f"{path}{key}", f"no such key; use {', '.join(sorted(known))}")

    def value(self, path: str, data: dict[str, Any], key: str, check: Check, what: str) -> Any:
        value = data.get(key)
        if value is not None and not check(value):
            raise self.fail(f"{path}{key}", f"{value!r} is not {what}")
        return value

    def moment(self, value: Any) -> dt.datetime:
        if isinstance(value, dt.datetime):
            return value if value.tzinfo else value.replace(tzinfo=dt.UTC)
        try:
            return from_us(parse_stamp(str(value)))
        except ValueError:
            raise self.fail("start", f"{value!r} is not a time such as 2026-11-02T14:30:00Z") from None

    def steps(self, data: Any) -> list[Step]:
        if not isinstance(data, list):
            raise self.fail("steps", "must be a list")
        return [self._step(f"steps[{index}]", entry) for index, entry in enumerate(data)]

    def _step(self, path: str, data: Any) -> Step:
        if not isinstance(data, dict):
            raise self.fail(path, "must be a mapping such as {at: 1, buy: {account: 101, symbol: MNQ, size: 1}}")
        known = set(actions.ACTIONS) - actions.READS - {"advance"}
        self.keys(f"{path}.", data, known | {"at"})
        names = [key for key in data if key != "at"]
        if len(names) != 1:
            raise self.fail(path, f"needs exactly one action beside at, it has {len(names)}")
        if "at" not in data:
            raise self.fail(f"{path}.at", "missing")
        at = self.value(f"{path}.", data, "at", lambda v: _number(v) and v >= 0, "a number of seconds of 0 or more")
        name, fields = names[0], data[names[0]] or {}
        if not isinstance(fields, dict):
            raise self.fail(f"{path}.{name}", "must be a mapping")
        try:
            actions.check(name, fields)
        except ValueError as error:
            raise ScriptError(f"{self._name}: {path}.{name}.{error}.") from error
        return Step(float(at), name, fields)

    def logins(self, data: Any) -> list[Login]:
        if not isinstance(data, list) or not all(isinstance(entry, dict) for entry in data):
            raise self.fail("logins", "must be a list of mappings")
        logins, seen = [], set[object]()
        for index, entry in enumerate(data):
            path = f"logins[{index}]."
            self.keys(path, entry, {"username", "api_key", "accounts"})
            for key in ("username", "api_key"):
                if not isinstance(entry.get(key), str) or not entry[key]:
                    raise self.fail(f"{path}{key}", "must be a text")
            accounts = entry.get("accounts") or []
            if not isinstance(accounts, list) or not all(isinstance(a, dict) for a in accounts):
                raise self.fail(f"{path}accounts", "must be a list of mappings")
            opened = []
            for number, account in enumerate(accounts):
                place = f"{path}accounts[{number}]"
                try:
                    actions.check("account", {"login": entry["username"], **account})
                except ValueError as error:
                    raise ScriptError(f"{self._name}: {place}.{error}.") from error
                try:
                    micro_dollars(account.get("balance", 0))
                except ValueError as error:
                    raise self.fail(f"{place}.balance", str(error)) from error
                if account["id"] in seen:
                    raise self.fail(f"{place}.id", f"account {account['id']} is there twice")
                seen.add(account["id"])
                opened.append(Account(**account))
            if entry["username"] in seen:
                raise self.fail(f"{path}username", f"{entry['username']} is there twice")
            seen.add(entry["username"])
            logins.append(Login(entry["username"], entry["api_key"], opened))
        return logins
