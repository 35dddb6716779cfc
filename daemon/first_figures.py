"""What a subscription begins with, before the events: the present figures of every topic and account."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from daemon import figures
from daemon.core.engine import Engine
from daemon.core.state import AccountState
from daemon.day_figures import MOST_BYTES
from daemon.ipc_sessions import Pause
from shared.protocol import encode

_LEFT_OUT_FIRST: Final = "trades"
"""Twenty busy accounts have more of them than a line holds. Who wants those of an account asks for them."""

_ROUND_ONE: Final = 24
"""Bytes of an account's number, its quotes and commas."""


async def first_figures(
    engine: Engine,
    topics: Sequence[str],
    whole: Mapping[str, Callable[[], object]],
    of_account: Mapping[str, Callable[[AccountState], object]],
    pause: Pause,
) -> dict[str, Any]:
    """{topic: {account id: data}}, of a topic without accounts {topic: data}; as far as the gateway was read.

    Of the topic `trades` only the accounts that fit into a line are there.

    Args:
        whole: makers of what concerns no single account, by topic.
        of_account: makers by topic beside those for which an engine and an account are enough.
        pause: awaited between accounts.
    """
    makers: dict[str, Callable[[AccountState], object]] = {
        "pnl": lambda account: figures.pnl(engine, account),
        "positions": lambda account: figures.position_rows(engine, account),
        "orders": lambda account: figures.order_rows(engine, account),
        "lockouts": figures.lockout_rows,
        "rules": lambda account: figures.rule_rows(engine, account),
        **of_account,
    }
    found: dict[str, Any] = {}
    room = MOST_BYTES
    for topic in sorted(topics, key=lambda topic: topic == _LEFT_OUT_FIRST):
        if topic in whole:
            data = encode(whole[topic]())
            room -= len(data)
            found[topic] = orjson.Fragment(data)
        elif topic in makers:
            rows = found[topic] = {}
            for account in list(engine.accounts.values()):
                if figures.is_read(account, topic):
                    data = encode(makers[topic](account))
                    if topic != _LEFT_OUT_FIRST or len(data) + _ROUND_ONE <= room:
                        room -= len(data) + _ROUND_ONE
                        rows[str(account.account_id)] = orjson.Fragment(data)
                await pause()
    return {topic: found[topic] for topic in topics if topic in found}
