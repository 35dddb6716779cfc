"""The daemon's logs through loguru: daemon.log, enforcement.log, api.log, error.log, and activity.log for the trader.

    daemon.log       everything but the gateway's wire
    enforcement.log  lockouts, closes, cancels and their confirmation
    api.log          the gateway: requests, hubs, logins, what the SDK and its libraries say
    error.log        errors of all of them
    public/activity.log   what the trader should know, one plain sentence a line

Logging costs the caller one queue append after loguru's own work; formatting the line, taking out secrets and writing
are done by a thread. Times are UTC.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from loguru import logger

from daemon.credentials import redact
from daemon.lasting_thread import LastingThread
from daemon.log_files import DailyFile, LogWriter

if TYPE_CHECKING:
    from loguru import Message, Record

enforcement_log = logger.bind(channel="enforcement")
"""Lockouts set and cleared, closes and cancels, with the numbers behind them."""
api_log = logger.bind(channel="api")
"""What goes to and comes from the gateway."""
gateway_log = logger.bind(channel="gateway")
"""What became of logins, hubs and accounts: in daemon.log and in api.log."""
activity_log = logger.bind(channel="activity")
"""What the trader reads in public/activity.log: warnings, enforcement, lockouts; plain sentences, nothing secret."""

CheckpointName = Literal[
    "service_start",
    "config_loaded",
    "sdk_connected",
    "rules_initialized",
    "event_loop_running",
    "event_received",
    "rule_evaluated",
    "enforcement_triggered",
]

CHECKPOINTS: Final[dict[CheckpointName, tuple[int, str]]] = {
    "service_start": (1, "Service starting"),
    "config_loaded": (2, "Configuration loaded"),
    "sdk_connected": (3, "Connected to the gateway"),
    "rules_initialized": (4, "Rules initialized"),
    "event_loop_running": (5, "Event loop running"),
    "event_received": (6, "Event received"),
    "rule_evaluated": (7, "Rule evaluated"),
    "enforcement_triggered": (8, "Enforcement triggered"),
}
"""The eight points at which a log shows how far the daemon has come, in order."""

_PER_EVENT: Final = frozenset({"event_received", "rule_evaluated"})
_START: Final = 7
"""The points up to this one are logged in their order; what comes sooner waits for those before it."""
_seen: set[str] = set()
_held: dict[int, Callable[[], None]] = {}
_passed: list[int] = [0]

_API_LOGGERS: Final = ("project_x_py", "pysignalr", "websockets", "aiohttp", "httpx")
_QUIET_LOGGERS: Final = {
    "sqlalchemy": logging.WARNING,
    "alembic": logging.WARNING,
    "apscheduler": logging.WARNING,
    "asyncio": logging.WARNING,
    "keyring": logging.WARNING,
    "aiohttp": logging.WARNING,
    "httpx": logging.WARNING,
    "websockets": logging.WARNING,
    "pysignalr": logging.WARNING,
}


class Logs:
    """The logs that are being written; made by `setup`."""

    def __init__(self, writer: LogWriter, files: dict[str, DailyFile], level: str) -> None:
        self._writer = writer
        self._files = files
        self._handler = logger.add(self._sink, level=level, format="{message}", **_PLAIN)

    @property
    def thread(self) -> LastingThread:
        """The thread that writes."""
        return self._writer.thread

    def set_level(self, level: str) -> None:
        """Least important level that is written from now on, such as "INFO"."""
        fresh = logger.add(self._sink, level=level, format="{message}", **_PLAIN)
        logger.remove(self._handler)
        self._handler = fresh

    def set_retention(self, days: int) -> None:
        """Days for which files are kept; takes effect at the next midnight or start."""
        for file in self._files.values():
            file.kept_days = days

    def flush(self, seconds: float = 2.0) -> bool:
        """Wait until everything logged so far is in its files; False when that takes longer."""
        return self._writer.flush(seconds)

    def close(self, seconds: float = 2.0) -> None:
        """Write what is waiting and stop logging."""
        atexit.unregister(self.close)
        try:
            logger.remove(self._handler)
        except ValueError:
            return  # closed before
        self._writer.close(seconds)

    def _sink(self, message: Message) -> None:
        record = message.record
        channel = record["extra"].get("channel")
        if channel == "activity":
            self._writer.put(("activity",), lambda: _activity_line(record))
            return
        names: tuple[str, ...] = _FILES_OF.get(str(channel), ("daemon",))
        if record["level"].no >= logging.ERROR:
            names += ("error",)
        self._writer.put((*names, "console"), lambda: _line(record, str(message)))


_PLAIN: Final[dict[str, Any]] = {"colorize": False, "backtrace": False, "diagnose": False, "catch": True}
"""`diagnose` would print the values of variables, secrets among them."""


def setup(
    folder: Path,
    *,
    level: str = "INFO",
    retention_days: int = 30,
    console: bool = False,
    public: Path | None = None,
    redact: Callable[[str], str] = redact,
) -> Logs:
    """Begin to log, in place of whatever loguru and the standard logging did before.

    Args:
        folder: home/logs; made if missing. An unwritable folder loses lines, never the daemon.
        level: least important level that is written.
        retention_days: files of older days are deleted.
        console: also to stderr; for `riskd run` in a terminal, never under a service manager.
        public: home/public, where activity.log is kept; None: no such file.
        redact: takes secrets out of every line.
    """
    files = {name: DailyFile(folder, name, kept_days=retention_days) for name in _FILES}
    if public is not None:
        files["activity"] = DailyFile(public, "activity", mode=0o644, kept_days=retention_days)
    for file in files.values():
        file.write("", datetime.now(UTC).date())  # all are there from the start
    writer = LogWriter(files, console=console, redact=redact)
    logger.remove()
    _seen.clear()
    _held.clear()
    _passed[0] = 0
    logs = Logs(writer, files, level)
    capture_standard_logging(level)
    atexit.register(logs.close)
    return logs


_FILES_OF: Final = {"enforcement": ("daemon", "enforcement"), "api": ("api",), "gateway": ("daemon", "api")}
_FILES: Final = ("daemon", "enforcement", "api", "error")


def capture_standard_logging(level: str = "INFO") -> None:
    """Bring everything that uses the standard logging under loguru: handlers are taken away, records are passed on.

    The SDK gives each of its loggers a handler that prints JSON to stdout: call this once more after it was imported.
    """
    least = logging.getLevelNamesMapping().get(level, logging.DEBUG)
    root = logging.getLogger()
    root.handlers[:] = [_ToLoguru()]
    root.setLevel(least)
    for name, known in list(logging.Logger.manager.loggerDict.items()):
        if isinstance(known, logging.Logger) and name.split(".")[0] in (*_API_LOGGERS, *_QUIET_LOGGERS):
            known.handlers.clear()
            known.propagate = True
    for name, quiet in _QUIET_LOGGERS.items():
        logging.getLogger(name).setLevel(max(quiet, least))
    logging.captureWarnings(True)


class _ToLoguru(logging.Handler):
    """Passes records of the standard logging on."""

    def emit(self, record: logging.LogRecord) -> None:
        level: str | int = record.levelno
        with contextlib.suppress(ValueError):
            level = logger.level(record.levelname).name
        origin = {}
        if record.name.split(".")[0] in _API_LOGGERS:
            origin = {"channel": "api"}
        elif record.name.startswith("daemon.gateway"):
            origin = {"channel": "gateway"}
        bound = logger.bind(origin=record.name, **origin)
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 - a wrong format string in a library
            text = str(record.msg)
        bound.opt(exception=record.exc_info).log(level, "{}", text)


def checkpoint(name: CheckpointName, **facts: object) -> None:
    """Log that the daemon has come to one of the eight points, with its facts (account_id=101, rule_id="RULE-003" ...).

    `event_received` and `rule_evaluated` are logged the first time only, at INFO: nothing is logged on the event path
    where nothing is breached.
    """
    if name in _PER_EVENT:
        if name in _seen:
            return
        _seen.add(name)
    number, title = CHECKPOINTS[name]
    details = ", ".join(f"{key}={value}" for key, value in facts.items())
    text = f"[{number}/8] {title}{f': {details}' if details else ''}"
    if number > _START:
        enforcement_log.info("{}", text)
        return
    if number <= _passed[0]:
        logger.info("{}", text)  # again: of a daemon that was restarted within the process
        return
    _held[number] = lambda: logger.info("{}", text)
    while _passed[0] + 1 in _held:
        _passed[0] += 1
        _held.pop(_passed[0])()


def activity(text: str) -> None:
    """Tell the trader something, in one plain sentence, in public/activity.log."""
    activity_log.info("{}", text)


_UNSEEN: Final = re.compile(
    "[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u2069\\ufeff]"
)
"""Characters that colour a terminal, turn a line round or hide in it; anybody may have named an account so."""


def _line(record: Record, text: str) -> str:
    time = record["time"].astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
    origin = record["extra"].get("origin") or record["name"] or "?"
    # Continued lines are indented: no text from outside can pass for a line of its own.
    body = _UNSEEN.sub(" ", text.rstrip("\n")).replace("\r", " ").replace("\n", "\n    ")
    return f"{time}Z {record['level'].name:<8} {origin}: {body}\n"


def _activity_line(record: Record) -> str:
    time = record["time"].astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"{time} UTC  {' '.join(_UNSEEN.sub(' ', record['message']).split())}\n"
