"""The end of a log file for the admin window, and following the log as it is written. Nothing here changes a log."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from loguru import logger

from daemon.credentials import redact

if TYPE_CHECKING:
    from loguru import Message

LEVELS: Final = ("TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_READ_BYTES: Final = 4 * 1024 * 1024
_ANSWER_CHARACTERS: Final = 400_000
_ENTRY: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z) (\w+)\s+([^:]*): ?(.*)", re.DOTALL)
_ACTIVITY: Final = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) UTC  (.*)", re.DOTALL)
_FOLLOW_SECONDS: Final = 0.25
_FOLLOW_MOST: Final = 500

Entry = dict[str, str | None]


def newest(folder: Path, name: str) -> Path | None:
    """The file that is being written: `name.log`, or the newest dated one where that could not be renamed."""
    found = [path for path in [folder / f"{name}.log", *folder.glob(f"{name}-*.log")] if path.is_file()]
    return max(found, key=lambda path: path.stat().st_mtime_ns, default=None)


def tail(folder: Path, name: str, lines: int, level: str | None = None, text: str = "") -> dict[str, Any]:
    """The last entries of a log that fit: {"file", "folder", "lines": [{at, level, origin, text}], "more"}. Blocks.

    Continued lines belong to their entry. A log that is not there yet has no entries; reading it raises OSError only
    when it is there and can't be read.
    """
    path = newest(folder, name)
    if path is None:
        return {"file": f"{name}.log", "folder": str(folder), "lines": [], "more": False}
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _READ_BYTES))
        raw = file.read(_READ_BYTES).decode("utf-8", "replace")
    if size > _READ_BYTES:
        raw = raw.partition("\n")[2]
    chosen: deque[Entry] = deque(maxlen=lines)
    total = 0
    least = LEVELS.index(level) if level else 0
    needle = text.casefold()
    for entry in _entries(raw):
        shown_level = entry["level"]
        if shown_level in LEVELS and LEVELS.index(shown_level) < least:
            continue
        if needle and needle not in f"{entry['origin']} {entry['text']}".casefold():
            continue
        total += 1
        chosen.append(entry)
    kept: list[Entry] = []
    room = _ANSWER_CHARACTERS
    for entry in reversed(chosen):
        room -= len(entry["text"] or "") + 100
        if room < 0:
            break
        kept.append(entry)
    kept.reverse()
    return {"file": path.name, "folder": str(folder), "lines": kept, "more": total > len(kept) or size > _READ_BYTES}


def _entries(raw: str) -> list[Entry]:
    blocks: list[list[str]] = []
    for line in raw.splitlines():
        if line.startswith("    ") and blocks:
            blocks[-1].append(line[4:])
        elif line:
            blocks.append([line])
    return [_entry("\n".join(block)) for block in blocks]


def _entry(words: str) -> Entry:
    found = _ENTRY.match(words)
    if found is not None:
        return {"at": found[1], "level": found[2], "origin": found[3], "text": found[4][:8000]}
    trader = _ACTIVITY.match(words)
    if trader is not None:
        return {"at": f"{trader[1]}T{trader[2]}Z", "level": "INFO", "origin": "activity", "text": trader[3][:8000]}
    return {"at": None, "level": None, "origin": "", "text": words[:8000]}


class LogFollower:
    """Hands what is logged to the topic "log", some times a second, and only while somebody follows.

    Args:
        wanted: whether anybody follows; cheap, called in any thread.
        publish: takes {"lines": [...], "lost": n}; called in the event loop's thread.
    """

    def __init__(self, wanted: Callable[[], bool], publish: Callable[[dict[str, Any]], None]) -> None:
        self._wanted = wanted
        self._publish = publish
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Entry] = deque(maxlen=_FOLLOW_MOST)
        self._lost = 0
        self._armed = False
        self._sink = logger.add(
            self._hear, level="TRACE", format="{message}", colorize=False, backtrace=False, diagnose=False, catch=True
        )

    def close(self) -> None:
        """Follow no more."""
        with contextlib.suppress(ValueError):
            logger.remove(self._sink)

    def _hear(self, message: Message) -> None:
        if not self._wanted():
            return
        record = message.record
        channel = str(record["extra"].get("channel") or "daemon")
        entry: Entry = {
            "at": record["time"].astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record["level"].name,
            "origin": str(record["extra"].get("origin") or record["name"] or "?"),
            "text": redact(str(message).rstrip("\n"))[:8000],
            "file": channel,
        }
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._take, entry)

    def _take(self, entry: Entry) -> None:
        if len(self._waiting) == self._waiting.maxlen:
            self._lost += 1
        self._waiting.append(entry)
        if not self._armed:
            self._armed = True
            self._loop.call_later(_FOLLOW_SECONDS, self._send)

    def _send(self) -> None:
        self._armed = False
        lines, self._waiting = list(self._waiting), deque(maxlen=_FOLLOW_MOST)
        lost, self._lost = self._lost, 0
        self._publish({"lines": lines, "lost": lost})
