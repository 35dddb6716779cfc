"""Why the daemon cannot run."""

from __future__ import annotations


class StartError(Exception):
    """The daemon cannot run; the text is one plain sentence, `exit_code` 1 or 2 (configuration)."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code
