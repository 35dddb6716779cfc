"""What an edited configuration would have done on a recorded day, worked out in a process of its own.

The daemon's loop only starts that process, waits for it and ends it when it takes too long or nobody wants it any
more; what it reads is the journal's file, which is only appended to.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from daemon.replay import Deed, Pair

SECONDS: Final = 100.0
"""A replay that takes longer is ended; the socket's own limit for a call is a little above."""
MOST_ROWS: Final = 1500
"""More than these are counted, not sent: one line of the socket holds 1 MiB."""
COMMAND: Final = "what-if"


class WhatIfError(Exception):
    """The day could not be run through the configuration; the text is one plain sentence."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the child process works on: a journal's file and the text of risk_config.yaml, already valid."""

    journal: Path
    risk_yaml: str


def journal_days(folder: Path) -> list[dict[str, Any]]:
    """Recorded trading days, newest first: day (ISO date), bytes. Blocks on the disk."""
    days = []
    for path in folder.glob("????-??-??.jsonl.gz"):
        with contextlib.suppress(OSError):
            days.append({"day": path.name[:10], "bytes": path.stat().st_size})
    return sorted(days, key=lambda row: str(row["day"]), reverse=True)


class WhatIf:
    """Runs one replay at a time; a new one ends the one before. All in one event loop."""

    def __init__(self, *, seconds: float = SECONDS, command: Sequence[str] | None = None) -> None:
        self._seconds = seconds
        self._command = list(command) if command is not None else _command()
        self._process: asyncio.subprocess.Process | None = None

    @property
    def running(self) -> bool:
        """Whether a replay is under way."""
        return self._process is not None

    async def run(self, request: Request) -> dict[str, Any]:
        """Rows side by side and a summary, see `compare`. Raises WhatIfError, also after `cancel`."""
        self.cancel()
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                str(request.journal),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=_environment(),
                limit=64 * 1024 * 1024,
            )
        except OSError as error:
            raise WhatIfError(f"The replay could not be started ({error.strerror}).") from error
        self._process = process
        try:
            async with asyncio.timeout(self._seconds):
                out, _ = await process.communicate(request.risk_yaml.encode())
        except TimeoutError:
            raise WhatIfError(
                f"The replay took longer than {self._seconds:g} s and was ended; choose a day with less trading."
            ) from None
        finally:
            _end(process)
            if self._process is process:
                self._process = None
        try:
            answer: dict[str, Any] = json.loads(out)
        except ValueError:
            raise WhatIfError("The replay was ended before it was done.") from None
        if "error" in answer:
            raise WhatIfError(str(answer["error"]))
        return answer

    def cancel(self) -> bool:
        """End the replay under way; whether there was one."""
        process, self._process = self._process, None
        if process is None:
            return False
        _end(process)
        return True


def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


def _command() -> list[str]:
    """This program again: the installed one by its hidden command, from source by its module."""
    if getattr(sys, "frozen", False):
        return [sys.executable, COMMAND]
    return [sys.executable, "-m", "daemon.what_if"]


def _environment() -> dict[str, str]:
    """From source, the child finds the same package whatever the folder is that we were started in."""
    if getattr(sys, "frozen", False):
        return dict(os.environ)
    root = str(Path(__file__).resolve().parents[1])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}


# ---- in the child process


def compare(journal: Path, risk_yaml: str) -> dict[str, Any]:
    """Both runs of a day: {"rows", "left_out", "both", "recorded_only", "other_only", "events", "gaps", "limits"}.

    A row: account_id, rule_id, action, subject, and under "recorded" and "other" (null: did not happen) at, reason,
    realized, unrealized. Raises daemon.journal.JournalError, daemon.config_errors.ConfigErrors.
    """
    from daemon.config_loader import load_risk_config
    from daemon.journal import ConfigText, JournalError, read_journal
    from daemon.replay import LIMITS, Replay, side_by_side

    config = load_risk_config(risk_yaml, "the edited configuration")
    calendar = None
    for entry in read_journal(journal):
        if isinstance(entry, ConfigText):
            calendar = entry.parsed()[1]
            break
    if calendar is None:
        raise JournalError(f"The journal {journal.name} holds no recorded day; choose another.")
    recorded, other = Replay(), Replay((config, calendar))
    pairs = side_by_side(list(recorded.run(read_journal(journal))), list(other.run(read_journal(journal))))
    return {
        "rows": [_row(pair) for pair in pairs[:MOST_ROWS]],
        "left_out": max(0, len(pairs) - MOST_ROWS),
        "both": sum(pair.recorded is not None and pair.other is not None for pair in pairs),
        "recorded_only": sum(pair.other is None for pair in pairs),
        "other_only": sum(pair.recorded is None for pair in pairs),
        "events": other.events,
        "gaps": other.gaps,
        "limits": LIMITS,
    }


def _row(pair: Pair) -> dict[str, Any]:
    first = pair.first
    return {
        "account_id": first.account_id,
        "rule_id": first.rule_id,
        "action": first.action,
        "subject": first.subject,
        "recorded": _side(pair.recorded),
        "other": _side(pair.other),
    }


def _side(deed: Deed | None) -> dict[str, Any] | None:
    from daemon.core.units import to_iso
    from shared.schema import money_text

    if deed is None:
        return None
    return {
        "at": to_iso(deed.at),
        "reason": deed.reason[:300],
        "realized": money_text(deed.realized),
        "unrealized": None if deed.unrealized is None else money_text(deed.unrealized),
    }


def child(arguments: Sequence[str]) -> int:
    """The child process: the journal is the argument, the configuration comes on stdin, the answer goes to stdout."""
    from daemon.config_errors import ConfigErrors
    from daemon.journal import JournalError

    with contextlib.suppress(OSError, AttributeError):
        os.nice(10)
    try:
        answer = compare(Path(arguments[0]), sys.stdin.buffer.read().decode("utf-8"))
    except (JournalError, ConfigErrors) as error:
        answer = {"error": str(error)}
    except Exception as error:  # noqa: BLE001 - told to the one who asked, by the parent
        answer = {"error": f"The replay failed ({type(error).__name__}: {error})."}
    sys.stdout.buffer.write(json.dumps(answer).encode())
    sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(child(sys.argv[1:]))
