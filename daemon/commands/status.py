"""`riskd status`: ask the running daemon."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from shared.paths import find_home
from shared.rpc_client import RpcClient


def status(home: str | None, *, as_json: bool) -> int:
    """Print the daemon's status. Returns 0 when it answers and is healthy, else 1."""
    try:
        answer, accounts = asyncio.run(_ask(home))
    except Exception as error:  # noqa: BLE001 - every way of not reaching it is one sentence
        said = str(error) or type(error).__name__
        print(said if "daemon" in said else f"The daemon does not answer: {said}", file=sys.stderr)
        return 1
    if as_json:
        print(json.dumps(answer, indent=2))
    else:
        _show(answer, accounts)
    return 0 if answer["status"] == "healthy" else 1


async def _ask(home: str | None) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    client = RpcClient(find_home(home).endpoint)
    try:
        await client.connect()
        answer: Any = await client.call("get_status")
        accounts: Any = await client.call("get_accounts")
        return answer, accounts
    finally:
        await client.close()


def _show(answer: dict[str, Any], accounts: list[dict[str, Any]]) -> None:
    console = Console()
    console.print(
        f"Risk Manager {answer['version']}: [bold]{answer['status']}[/bold], up {answer['uptime']} s,"
        f" {answer['memory_usage_mb']} MB, {answer['cpu_usage_percent']} % CPU"
    )
    if answer["clock_suspect"]:
        offset = answer["clock_offset_seconds"]
        sentence = (
            f"This PC's clock is off by {offset} s." if abs(offset) >= 1 else "The gateway has not told the time."
        )
        console.print(f"[yellow]{sentence}[/yellow]")
    for problem in answer.get("problems", []):
        console.print(f"[yellow]{escape(problem)}[/yellow]")
    table = Table()
    for title in ("Account", "Name", "State", "Realized", "Unrealized", "Positions"):
        table.add_column(title, justify="right" if title in {"Realized", "Unrealized", "Positions"} else "left")
    for row in accounts:
        state = "locked" if row["lockout"] else "protected" if row["monitored"] else "not monitored"
        if row["locked_until"]:
            state += f" until {row['locked_until'][:16].replace('T', ' ')} UTC"
        table.add_row(
            str(row["account_id"]),
            row["name"],
            state,
            row["realized"],
            row["unrealized"] or "?",
            str(row["positions"]),
        )
    for number in answer.get("unknown_accounts", []):
        table.add_row(str(number), "", "unknown", "?", "?", "?")
    console.print(table)
