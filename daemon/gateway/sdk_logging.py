"""Brings what the SDK and its libraries log under the standard logging tree, without tokens.

As delivered, project-x-py prints JSON to stdout through a handler on each of its loggers, and pysignalr's INFO
messages hold the access token in a URL. Nothing here imports the SDK.
"""

from __future__ import annotations

import logging
from typing import Final

from daemon.credentials import redact

_SDK: Final = "project_x_py"
_QUIET: Final = ("pysignalr", "pysignalr.client", "pysignalr.transport", "websockets", "aiohttp", "httpx")


class RedactSecrets(logging.Filter):
    """Takes tokens and keys out of every record that passes."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record; never drops one."""
        text = record.getMessage()
        clean = redact(text)
        if clean != text:
            record.msg, record.args = clean, None
        if record.exc_info:
            # A traceback may quote a URL with the token; its last line says enough.
            error = record.exc_info[1]
            record.msg = redact(f"{record.getMessage()} ({type(error).__name__}: {error})")
            record.args, record.exc_info, record.exc_text = None, None, None
        return True


def configure_sdk_logging(level: int = logging.WARNING) -> None:
    """Take the SDK's own handlers away, let its records propagate, and redact them.

    Call after the SDK's import; idempotent.
    """
    for name in [*logging.Logger.manager.loggerDict, _SDK]:
        if name == _SDK or name.startswith(_SDK + "."):
            logger = logging.getLogger(name)
            logger.handlers.clear()
            logger.propagate = True
            logger.setLevel(level)
            _redacting(logger)
    for name in _QUIET:
        logger = logging.getLogger(name)
        logger.setLevel(max(level, logging.WARNING))
        _redacting(logger)


def _redacting(logger: logging.Logger) -> None:
    if not any(isinstance(known, RedactSecrets) for known in logger.filters):
        logger.addFilter(RedactSecrets())
