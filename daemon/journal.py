"""The journal: every event of a trading day on disk, so that the day can be run again through any configuration.

One file a trading day, `2026-11-21.jsonl.gz`: a sequence of gzip members (so `zcat` shows it), each a line of JSON
with an array of events. The size of a member stands in its header's extra field: a restart finds the sound end of the
file without unpacking it, cuts off what a kill left half-written and goes on behind it.

On the event path recording is one `deque.append`; a thread encodes, packs and writes once a second.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import struct
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import BinaryIO, Final

from daemon.core.events import Event
from daemon.journal_codec import ConfigText, Entry, Gap, JournalError, StartState, decode, encode
from daemon.lasting_thread import LastingThread
from daemon.store.state import SavedState
from shared.config import HolidayCalendar, RiskConfig

__all__ = ["ConfigText", "Entry", "Gap", "Journal", "JournalError", "StartState", "read_journal"]

_HEADER: Final = struct.Struct("<4sIBBH2sHI")
"""gzip: magic + deflate + FEXTRA, time 0, flags, system, length of extra, "RM", length 4, size of the whole member."""
_MAGIC: Final = b"\x1f\x8b\x08\x04"
_TRAILER: Final = struct.Struct("<II")
_LEVEL: Final = 6

_FLUSH_SECONDS: Final = 1.0
_BLOCK: Final = 1000
"""Events of one member: encoding them holds the interpreter for well under a millisecond."""
_MOST_WAITING: Final = 1_000_000
_MOST_PACKED_BYTES: Final = 64 * 1024 * 1024


class Journal:
    """The writing side.

    Args:
        folder: data/journal, made if missing.
        version: of this program, noted in each file.
        on_alert: told, in one sentence, when recording fails and when it works again; called in the journal's thread.
        kept_days: files of older trading days are deleted.
    """

    def __init__(self, folder: Path, *, version: str, on_alert: Callable[[str], None], kept_days: int = 30) -> None:
        self._folder = folder
        self._version = version
        self._on_alert = on_alert
        self._kept_days = kept_days
        self._waiting: deque[Event | tuple[ConfigText, StartState]] = deque(maxlen=_MOST_WAITING)
        self.append: Callable[[Event], None] = self._waiting.append
        """Record an event: no more than an append to a deque. The event must not be changed afterwards."""
        self._packed: deque[tuple[bytes, int]] = deque()
        self._packed_bytes = 0
        self._lost = 0
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        self._end = 0
        self._failing = False
        self._stop = threading.Event()
        self.thread = LastingThread("journal-writer", self._run)
        self.thread.start()

    def start(
        self, trading_day: str, config: RiskConfig, calendar: HolidayCalendar, state: SavedState, at: int
    ) -> None:
        """Begin, at daemon start and at each reset, the trading day's file with all that a replay needs.

        Args:
            trading_day: ISO date of the reset that ends it; names the file.
            state: what is known at `at` (microseconds UTC), contracts included; must not be changed afterwards.
        """
        self._waiting.append((ConfigText.of(config, calendar), StartState(at, trading_day, self._version, state)))

    def close(self, seconds: float = 5.0) -> bool:
        """Write what is waiting and end the thread; False when that was not possible in time."""
        self._stop.set()
        return self.thread.join(seconds) and not self._packed

    # -- in the journal's thread ------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.wait(_FLUSH_SECONDS):
            self._work()
        self._work()
        self._close_file()

    def _work(self) -> None:
        try:
            self._take()
        except Exception as error:  # noqa: BLE001 - recording must never end while the daemon runs
            self._trouble(str(error))

    def _take(self) -> None:
        block: list[Entry] = []
        waiting = self._waiting
        if len(waiting) == waiting.maxlen:
            block.append(Gap(0))  # the oldest fell out; how many cannot be told
        for _ in range(len(waiting)):
            entry = waiting.popleft()
            if isinstance(entry, tuple):
                self._pack(block)
                block = [*entry]
                self._write()
                self._change_file(entry[1].trading_day)
                continue
            block.append(entry)
            if len(block) >= _BLOCK:
                self._pack(block)
                self._write()
                block = []
        self._pack(block)
        self._write()

    def _pack(self, block: list[Entry]) -> None:
        if not block:
            return
        if self._lost and self._packed_bytes < _MOST_PACKED_BYTES // 2:
            block.insert(0, Gap(self._lost))
            self._lost = 0
        packed = _member(encode(block))
        self._packed.append((packed, len(block)))
        self._packed_bytes += len(packed)
        while self._packed_bytes > _MOST_PACKED_BYTES:
            dropped, count = self._packed.popleft()
            self._packed_bytes -= len(dropped)
            self._lost += count

    def _write(self) -> None:
        if self._path is None:
            return
        try:
            while self._packed:
                if self._file is None:
                    self._file, self._end = _open_for_append(self._path)
                packed, _ = self._packed[0]
                if self._file.write(packed) != len(packed):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                self._end += len(packed)
                self._packed.popleft()
                self._packed_bytes -= len(packed)
        except OSError as error:
            self._cut_back()
            self._trouble(error.strerror or str(error))
        else:
            if self._failing:
                self._failing = False
                self._alert(f"Events are recorded again in {self._folder}.")

    def _cut_back(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.truncate(self._end)
            with contextlib.suppress(OSError):
                file.close()

    def _change_file(self, trading_day: str) -> None:
        # Blocks of the old day that could not be written are written into the new day's file rather than lost.
        path = self._folder / f"{trading_day}.jsonl.gz"
        if path != self._path:
            self._close_file()
            self._path = path
        self._delete_old(trading_day)

    def _close_file(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                os.fsync(file.fileno())
            with contextlib.suppress(OSError):
                file.close()

    def _delete_old(self, trading_day: str) -> None:
        try:
            oldest = (date.fromisoformat(trading_day) - timedelta(days=self._kept_days)).isoformat()
        except (ValueError, OverflowError):
            return
        for path in self._folder.glob("*.jsonl.gz"):
            if re.fullmatch(r"\d{4}-\d\d-\d\d\.jsonl\.gz", path.name) and path.name[:10] < oldest:
                with contextlib.suppress(OSError):
                    path.unlink()

    def _trouble(self, reason: str) -> None:
        if not self._failing:
            self._failing = True
            self._alert(
                f"Events cannot be recorded in {self._folder} ({reason}): free some space, or check its rights."
            )

    def _alert(self, text: str) -> None:
        with contextlib.suppress(Exception):
            self._on_alert(text)


def read_journal(path: Path, on_cut: Callable[[int], None] = lambda _: None) -> Iterator[Entry]:
    """Entries of one file in the order of recording: a ConfigText and a StartState, then events; again at each restart.

    A half-written end, as a kill leaves it, ends the iteration; `on_cut` is told at which byte.

    Raises:
        JournalError: the file cannot be read, is no journal, or is damaged before its end.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            at = 0
            while at < size:
                length = _member_length(file.read(_HEADER.size))
                if length is None or at + length > size:
                    if at == 0 or (length is None and size - at >= _HEADER.size):
                        raise JournalError(f"The journal {path} is damaged, or is no journal, at byte {at}.")
                    on_cut(at)
                    return
                line = _content(file.read(length - _HEADER.size))
                at += length
                if line is None:
                    if at >= size:
                        on_cut(at - length)
                        return
                    raise JournalError(f"The journal {path} is damaged at byte {at - length}.")
                yield from decode(line)
    except OSError as error:
        raise JournalError(f"The journal {path} cannot be read: {error.strerror or error}.") from error


def _member(line: bytes) -> bytes:
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = packer.compress(line) + packer.flush()
    size = _HEADER.size + len(body) + _TRAILER.size
    header = _HEADER.pack(_MAGIC, 0, 0, 255, 8, b"RM", 4, size)
    return header + body + _TRAILER.pack(zlib.crc32(line), len(line) & 0xFFFFFFFF)


def _member_length(header: bytes) -> int | None:
    if len(header) < _HEADER.size:
        return None
    magic, _, _, _, extra, mark, count, size = _HEADER.unpack(header)
    if magic != _MAGIC or extra != 8 or mark != b"RM" or count != 4 or size < _HEADER.size + _TRAILER.size:
        return None
    return int(size)


def _content(rest: bytes) -> bytes | None:
    body, trailer = rest[: -_TRAILER.size], rest[-_TRAILER.size :]
    try:
        line = zlib.decompress(body, -zlib.MAX_WBITS)
    except zlib.error:
        return None
    return line if _TRAILER.unpack(trailer) == (zlib.crc32(line), len(line) & 0xFFFFFFFF) else None


def _open_for_append(path: Path) -> tuple[BinaryIO, int]:
    """The file, cut off behind its last whole member, and that position."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_CREAT | os.O_RDWR | getattr(os, "O_BINARY", 0), 0o600)
    file = os.fdopen(handle, "r+b", buffering=0)
    try:
        end, last = _sound_end(file)
        if last is not None:
            file.seek(last + _HEADER.size)
            if _content(file.read(end - last - _HEADER.size)) is None:
                end = last
        file.truncate(end)
        file.seek(end)
    except BaseException:
        file.close()
        raise
    return file, end


def _sound_end(file: BinaryIO) -> tuple[int, int | None]:
    """Where the last member that is there in full length ends, and where it begins."""
    size = file.seek(0, os.SEEK_END)
    at = 0
    last = None
    while at < size:
        file.seek(at)
        length = _member_length(file.read(_HEADER.size))
        if length is None or at + length > size:
            break
        last, at = at, at + length
    return at, last
