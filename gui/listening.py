"""Who is told of what changes in the window's state, and of what a trader should hear with the window closed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gui.account_view import AccountView, Change, Notice, NoticeKind
from gui.records import Enforcement, Lockout, Warn


class Listening:
    """Hands out changes and notices, in the order in which they were listened for."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Change], None]] = []
        self._notice_listeners: list[Callable[[Notice], None]] = []

    def listen(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Call `listener` after each change; the returned function ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def listen_notices(self, listener: Callable[[Notice], None]) -> Callable[[], None]:
        """Call `listener` for each notice; the returned function ends it."""
        self._notice_listeners.append(listener)
        return lambda: self._notice_listeners.remove(listener) if listener in self._notice_listeners else None

    def _changed(self, topic: str, account_id: int | None = None) -> None:
        change = Change(topic, account_id)
        for listener in tuple(self._listeners):
            listener(change)

    def _notify(self, kind: NoticeKind, account_id: int, subject: Lockout | Enforcement | Warn) -> None:
        notice = Notice(kind, account_id, subject)
        for listener in tuple(self._notice_listeners):
            listener(notice)

    def _notify_lockouts(self, view: AccountView, before: Mapping[int, Lockout]) -> None:
        now = {lock.lockout_id: lock for lock in view.lockouts or []}
        for lockout_id, lock in now.items():
            if lockout_id not in before:
                self._notify(NoticeKind.LOCKOUT, view.account_id, lock)
        for lockout_id, lock in before.items():
            if lockout_id not in now:
                self._notify(NoticeKind.UNLOCK, view.account_id, lock)
