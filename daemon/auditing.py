"""Notes what an admin does around the doing: what may weaken protection is noted first, or it is not done at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

from loguru import logger

from daemon.audit_secrets import register_secrets
from daemon.credentials import redact
from daemon.ipc_sessions import CallContext
from daemon.store import StoreError
from shared.protocol import ErrorCode, RpcError

type Handler = Callable[[Any, CallContext], Awaitable[object]]

BEGUN: Final = "begun"
"""Result in the row that is written before something is done; the row of what came of it follows."""

_ONLY_PROTECTS: Final = frozenset({"lock_accounts", "backup_now", "test_connection", "test_alert_target"})
"""Methods that weaken nothing: done even if they cannot be noted."""


class Audit(Protocol):
    """The audit log; `daemon.audit.AuditLog` is one."""

    async def append(self, actor: str, action: str, params: Mapping[str, object], result: str) -> object:
        """Note an admin action. Raises StoreError."""


def audited(audit: Audit, name: str, handler: Handler) -> Handler:
    """The handler of a method that changes something: what was asked and what came of it is noted, refusals too.

    Where nothing can be noted (a full disk), what may weaken protection is refused with -32005 before it is done. What
    was done is answered as done, even if the second row could not be written: the first one tells of it.
    """

    async def run(params: Any, context: CallContext) -> object:
        if getattr(params, "dry_run", False):
            return await handler(params, context)  # changes nothing, and is asked at every key press
        shown = params.model_dump(mode="json")
        register_secrets(shown)
        if name not in _ONLY_PROTECTS:
            try:
                await audit.append("admin", name, shown, BEGUN)
            except StoreError as error:
                raise _busy(name, error, "it could not be noted in the audit log") from error
        try:
            result = await handler(params, context)
        except RpcError as error:
            await _note(audit, name, shown, f"refused: {redact(error.message)}")
            raise
        except (StoreError, OSError) as error:
            await _note(audit, name, shown, f"failed: {redact(str(error))}")
            raise _busy(name, error, "it could not be stored") from error
        except Exception as error:
            await _note(audit, name, shown, f"failed: {type(error).__name__}")
            raise
        await _note(audit, name, shown, "done")
        return result

    return run


async def _note(audit: Audit, name: str, shown: Mapping[str, object], result: str) -> None:
    try:
        await audit.append("admin", name, shown, result)
    except StoreError as error:
        logger.error("What came of {} ({}) could not be noted in the audit log. {}", name, result, error)


def _busy(name: str, error: Exception, why: str) -> RpcError:
    said = f"{error.strerror or type(error).__name__}." if isinstance(error, OSError) else str(error)
    return RpcError(ErrorCode.BUSY, f"{name} was not done: {why}. {redact(said)}")
