from __future__ import annotations

import json
from pathlib import Path

import pytest

from daemon.simulator import SimulatorConfig, run_script
from daemon.simulator.script import Script, ScriptError, load, parse

EVERYTHING = """
seed: 7
start: 2026-11-02T14:30:00Z
quotes_per_second: 2
logins:
  - username: alice
    api_key: key
    accounts: [{id: 7, balance: "1000.50"}, {id: 8, can_trade: false}]
steps:
  - at: 0.5
    buy: {account: 7, symbol: MNQ, size: 2, brackets: {stop_loss: 20, take_profit: 40}}
  - {at: 1, quote: {symbol: MNQ, bid: 24995.00, ask: 24995.25}}
  - {at: 2, sell: {account: 7, symbol: ES, size: 1, kind: limit, limit: 6900}}
  - {at: 3, fault: {effect: fills, chunk: 1, interval: 1, account: 7}}
  - {at: 4, buy: {account: 7, symbol: GC, size: 3}}
  - {at: 4.5, buy: {account: 8, symbol: GC, size: 1}}
  - {at: 5, can_trade: {account: 8, value: true}}
  - {at: 6, trade: {account: 8, symbol: MNQ, pnl: "-120.50", fees: "0.74"}}
  - {at: 7, account: {login: alice, id: 9}}
  - {at: 8, buy: {account: 9, symbol: CL, size: 1}}
  - {at: 9, close: {account: 9, symbol: CL}}
  - {at: 9, cancel_all: {account: 7}}
  - {at: 10, clear_faults: {}}
"""


def test_script_runs_in_broker_time() -> None:
    sim = run_script(parse(EVERYTHING, "s.yaml"))
    assert (sim.config.seed, sim.clock.utc().isoformat()) == (7, "2026-11-02T14:30:10+00:00")
    assert sim.net(7, "GC") == 3
    assert sim.net(9, "CL") == 0
    assert [t.created_at // 1_000_000 % 60 for t in sim.trades(7)][-3:] == [4, 5, 6]
    assert sim.trades(8)[0].pnl == -120_500_000
    assert sim.working_orders(7) == []
    assert sim.faults.active == []


def test_failed_step_is_logged_and_the_others_go_on() -> None:
    sim = run_script(parse(EVERYTHING, "s.yaml"))
    failed = [json.loads(line) for line in sim.log.lines if b'"step_failed"' in line]
    assert [entry["data"]["error"] for entry in failed] == ["refused: Account is not allowed to trade."]
    assert sim.net(8, "GC") == 0


def test_settings_of_the_script_go_before_the_configuration_s() -> None:
    config = parse(EVERYTHING, "s").apply_to(SimulatorConfig(seed=1, rate_limit=5))
    assert (config.seed, config.quotes_per_second, config.rate_limit) == (7, 2, 5)
    assert [login.username for login in config.logins] == ["alice"]
    kept = parse("steps: []", "s").apply_to(SimulatorConfig(seed=1))
    assert kept.seed == 1
    assert len(kept.logins) == 2


def test_json_is_a_script_too(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text(json.dumps({"steps": [{"at": 1, "buy": {"account": 101, "symbol": "MNQ", "size": 1}}]}))
    assert run_script(load(path)).net(101, "MNQ") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps: [", "line 1: not valid YAML"),
        ("- 1", "the script must be a mapping with the key steps."),
        ("", "the script must be a mapping with the key steps."),
        ("seed: 1", "steps: missing."),
        ("steps: []\nsede: 1", "sede: no such key; use logins, quotes_per_second, seed, speed, start, steps."),
        ("steps: []\nseed: x", "seed: 'x' is not a whole number."),
        ("steps: []\nseed: true", "seed: True is not a whole number."),
        ("steps: []\nspeed: 0", "speed: 0 is not a number above 0."),
        ("steps: []\nquotes_per_second: -1", "quotes_per_second: -1 is not a number of 0 or more."),
        ("steps: []\nstart: noon", "start: 'noon' is not a time such as 2026-11-02T14:30:00Z."),
        ("steps: 5", "steps: must be a list."),
        ("steps: [5]", "steps[0]: must be a mapping such as {at: 1, buy: {account: 101, symbol: MNQ, size: 1}}."),
        ("steps: [{at: 1}]", "steps[0]: needs exactly one action beside at, it has 0."),
        ("steps: [{at: 1, clear_faults: {}, close: {}}]", "steps[0]: needs exactly one action beside at, it has 2."),
        ("steps: [{clear_faults: {}}]", "steps[0].at: missing."),
        ("steps: [{at: -1, clear_faults: {}}]", "steps[0].at: -1 is not a number of seconds of 0 or more."),
        ("steps: [{at: 1, clear_faults: 3}]", "steps[0].clear_faults: must be a mapping."),
        (
            "steps: [{at: 1, buy: {account: 101, size: 1}}]",
            "steps[0].buy.symbol: missing; buy needs account, symbol, size.",
        ),
        (
            "steps: [{at: 1, buy: {account: a, symbol: MNQ, size: 1}}]",
            "steps[0].buy.account: 'a' is not of the type int.",
        ),
        (
            "steps: [{at: 1, buy: {account: 1, symbol: BTC, size: 1}}]",
            "steps[0].buy.symbol: 'BTC' is unknown; use one of CL,",
        ),
        (
            "steps: [{at: 1, buy: {account: 1, symbol: ES, size: 1, kind: x}}]",
            "steps[0].buy.kind: 'x' is unknown; use one of",
        ),
        (
            "steps: [{at: 1, buy: {account: 1, symbol: ES, size: 1, colour: x}}]",
            "steps[0].buy.colour: no such key; buy takes",
        ),
        (
            "steps: [{at: 1, buy: {account: 1, symbol: ES, size: 1, brackets: {stop_loss: -4}}}]",
            "steps[0].buy.brackets.stop_loss: -4 is not a number of ticks above 0.",
        ),
        ("steps: [{at: 1, fault: {effect: boom}}]", "steps[0].fault.effect: 'boom' is unknown; use one of"),
        (
            "steps: [{at: 1, fault: {effect: reset, status: 5}}]",
            "steps[0].fault.status: no such key for the effect reset",
        ),
        ("steps: [{at: 1, state: {}}]", "steps[0].state: no such key; use account, at, burst"),
        ("steps: []\nlogins: 5", "logins: must be a list of mappings."),
        ("steps: []\nlogins: [{username: a}]", "logins[0].api_key: must be a text."),
        (
            "steps: []\nlogins: [{username: a, api_key: b, key: c}]",
            "logins[0].key: no such key; use accounts, api_key, username.",
        ),
        (
            "steps: []\nlogins: [{username: a, api_key: b, accounts: [{id: x}]}]",
            "logins[0].accounts[0].id: 'x' is not of",
        ),
        (
            "steps: []\nlogins: [{username: a, api_key: b, accounts: [{id: 1}, {id: 1}]}]",
            "accounts[1].id: account 1 is there twice.",
        ),
        (
            "steps: []\nlogins: [{username: a, api_key: b}, {username: a, api_key: b}]",
            "logins[1].username: a is there twice.",
        ),
    ],
)
def test_errors_name_the_file_and_the_key(text: str, message: str) -> None:
    with pytest.raises(ScriptError) as error:
        parse(text, "my.yaml")
    said = str(error.value)
    assert said.startswith("my.yaml: ")
    assert message in said
    assert said.endswith(".")
    assert "\n" not in said


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="there is no such file"):
        load(tmp_path / "none.yaml")
    with pytest.raises(ScriptError, match="cannot be read"):
        load(tmp_path)
    binary = tmp_path / "b.yaml"
    binary.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ScriptError, match=r"cannot be read|not valid YAML"):
        load(binary)


def test_empty_script_ends_at_once() -> None:
    assert Script().end == 0.0
