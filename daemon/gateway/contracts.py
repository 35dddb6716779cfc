"""Contract data of all logins: known ones, and looking up those that are not, once and within a bound."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from daemon.broker import GatewayError
from daemon.core.events import Contract
from daemon.core.units import SECOND_US
from daemon.gateway.parsing import MalformedError, parse_contract
from daemon.gateway.timings import Timings

Fetch = Callable[[str], Awaitable[object]]
"""Reads one contract record by id. Raises GatewayError."""


class ContractBook:
    """What is known of contracts.

    Args:
        contracts: from an earlier run. They are announced again only if the gateway tells something else.
        announce: called with each contract that is new or has changed.
        on_alert: called with a sentence and the detail when a contract cannot be had.
        monotonic: microseconds.
        timings: bounds.
    """

    def __init__(
        self,
        contracts: Iterable[Contract],
        announce: Callable[[Contract], None],
        on_alert: Callable[[str, str], None],
        monotonic: Callable[[], int],
        timings: Timings,
    ) -> None:
        self._known = {contract.contract_id: contract for contract in contracts}
        self._announce = announce
        self._on_alert = on_alert
        self._monotonic = monotonic
        self._timings = timings
        self._lookups: dict[str, asyncio.Task[None]] = {}
        self._not_before: dict[str, int] = {}

    def __contains__(self, contract_id: object) -> bool:
        return contract_id in self._known

    def worth_waiting(self, contract_id: str) -> bool:
        """Whether the contract is unknown and a lookup is running or may be tried."""
        if not contract_id or contract_id in self._known:
            return False
        return contract_id in self._lookups or self._not_before.get(contract_id, 0) <= self._monotonic()

    def learn(self, records: Iterable[object]) -> int:
        """Take in a list of the gateway's contract records; returns how many could be understood."""
        understood = 0
        for record in records:
            try:
                contract = parse_contract(record)
            except MalformedError as error:
                self._on_alert("A contract of the gateway's list cannot be understood and is left out.", str(error))
                continue
            understood += 1
            self._take(contract)
        return understood

    async def look_up(self, contract_id: str, fetch: Fetch) -> None:
        """Have the contract looked up; returns when that is over, however it ended. Not bounded: the caller is."""
        task = self._lookups.get(contract_id)
        if task is None:
            task = asyncio.create_task(self._fetch(contract_id, fetch), name=f"contract {contract_id}")
            self._lookups[contract_id] = task
        await asyncio.wait({task})

    async def close(self) -> None:
        """Give up running lookups."""
        tasks = list(self._lookups.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=1)

    async def _fetch(self, contract_id: str, fetch: Fetch) -> None:
        try:
            record: Any = await fetch(contract_id)
            contract = parse_contract(record)
            if contract.contract_id != contract_id:
                raise MalformedError(f"asked for {contract_id}, got {contract.contract_id}")
        except (GatewayError, MalformedError) as error:
            self._not_before[contract_id] = self._monotonic() + round(self._timings.contract_retry * SECOND_US)
            self._on_alert(
                f"The gateway tells nothing usable of contract {contract_id}: it can be closed, its P&L is unknown.",
                str(error),
            )
        else:
            self._take(contract)
        finally:
            del self._lookups[contract_id]

    def _take(self, contract: Contract) -> None:
        if self._known.get(contract.contract_id) != contract:
            self._known[contract.contract_id] = contract
            self._announce(contract)
