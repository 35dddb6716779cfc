"""The methods of the socket: name, who may call, parameters. One table, shared by the daemon and its clients.

Parameters are validated here, before any handler sees them: unknown names, wrong types and out-of-range values are
refused with -32602 and one sentence. Account ids are integers; times are ISO-8601 with a UTC offset of zero.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)

from shared.method_words import TIME_WORDS, sentence
from shared.protocol import ErrorCode, RpcError

_MAX_PARAMS = 16
"""No method takes more; spares the validator an object with a hundred thousand keys."""

PublicTopic = Literal[
    "status",
    "accounts",
    "pnl",
    "positions",
    "orders",
    "trades",
    "quotes",
    "lockouts",
    "rules",
    "enforcement",
    "warnings",
    "config",
]
AdminTopic = Literal["log"]
Topic = Literal[PublicTopic, AdminTopic]

PUBLIC_TOPICS: tuple[PublicTopic, ...] = get_args(PublicTopic)
ADMIN_TOPICS: tuple[AdminTopic, ...] = get_args(AdminTopic)
TOPICS: tuple[Topic, ...] = PUBLIC_TOPICS + ADMIN_TOPICS


_ISO_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?\Z", re.IGNORECASE)


def _require_text(moment: object) -> object:
    """A number is refused: whether seconds or milliseconds were meant can't be told."""
    if isinstance(moment, datetime) or (isinstance(moment, str) and _ISO_TIME.match(moment.strip())):
        return moment
    raise ValueError(TIME_WORDS)


def one_line(text: str) -> str:
    """A text in one line without control and format characters, which could pass for other lines or turn them round."""
    shown = "".join(" " if unicodedata.category(char) in _UNSEEN else char for char in text)
    return " ".join(shown.split())


_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def _require_utc(moment: datetime) -> datetime:
    if moment.utcoffset() != timedelta(0):
        raise ValueError(TIME_WORDS)
    return moment


def _require_words(text: str) -> str:
    if not text:
        raise ValueError("must not be empty")
    return text


def _without_repeats(topics: list[Topic]) -> list[Topic]:
    return list(dict.fromkeys(topics))


AccountId = Annotated[int, Field(strict=True, ge=0, le=2**63 - 1)]
RowId = Annotated[int, Field(strict=True, ge=0, le=2**63 - 1)]
PageSize = Annotated[int, Field(strict=True, ge=1, le=1000)]
MaybeReason = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500), AfterValidator(one_line)]
Reason = Annotated[MaybeReason, AfterValidator(_require_words)]
UtcTime = Annotated[datetime, BeforeValidator(_require_text), AfterValidator(_require_utc)]
Username = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=256)]
TopicList = Annotated[list[Topic], FailFast(), Field(min_length=1, max_length=64), AfterValidator(_without_repeats)]


class Params(BaseModel):
    """Parameters of a method: nothing unknown, nothing changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NoParams(Params):
    """A method without parameters."""


class AccountParams(Params):
    account_id: AccountId


class MaybeAccountParams(Params):
    account_id: AccountId | None = None


class GetTradesParams(AccountParams):
    """With neither, the whole day. `before_id` continues a page at the trade before that one."""

    limit: PageSize | None = None
    before_id: RowId | None = None


class GetLockoutHistoryParams(Params):
    """Newest first; `before_id` continues a page at the row before that id."""

    account_id: AccountId | None = None
    limit: PageSize = 500
    before_id: RowId | None = None


class GetEnforcementLogParams(Params):
    """Newest first; `before_id` continues a page at the row before that id."""

    account_id: AccountId | None = None
    limit: PageSize = 100
    before_id: RowId | None = None


class GetAuditLogParams(Params):
    """Newest first; `before_id` continues a page at the row before that id."""

    limit: PageSize = 100
    before_id: RowId | None = None


class TopicsParams(Params):
    topics: TopicList


class LockAccountParams(Params):
    """Exactly one of `minutes` (from now, a year at most) and `until`."""

    account_id: AccountId
    minutes: Annotated[int, Field(strict=True, ge=1, le=366 * 24 * 60)] | None = None
    until: UtcTime | None = None
    reason: MaybeReason = ""

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if (self.minutes is None) == (self.until is None):
            raise ValueError("give either minutes or until")
        return self


class SetConfigParams(Params):
    """The whole file as YAML text, or a patch: a mapping merged key by key (null removes a key), or a list of steps
    `{"path": "rules.daily_realized_loss.limit" or ["logins", "trader1", "enabled"], "value": ...}`. `dry_run` validates
    and diffs, and changes nothing."""

    yaml: Annotated[str, StringConstraints(max_length=512 * 1024)] | None = None
    patch: dict[str, Any] | Annotated[list[dict[str, Any]], Field(max_length=5000)] | None = None
    dry_run: bool = False
    file: Literal["risk_config.yaml", "accounts.yaml", "holidays.yaml"] = "risk_config.yaml"

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.yaml is None) == (self.patch is None):
            raise ValueError("give either yaml or patch")
        return self


class SetCredentialParams(Params):
    """The key is at most 1,280 characters: what a Windows vault holds."""

    username: Username
    api_key: Annotated[SecretStr, Field(min_length=1, max_length=1280)]


class UsernameParams(Params):
    username: Username


class ClearLockoutParams(Params):
    id: RowId
    reason: Reason


class ChangeParams(Params):
    """`id` of a pending change, as `get_pending_config` lists it."""

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{1,64}\z")]


class StopDaemonParams(Params):
    reason: MaybeReason = ""


class AuthBeginParams(Params):
    client_nonce: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}\z")]


class AuthFinishParams(Params):
    # No pattern: a proof of the wrong shape is a failed login (-32001) and counts as one.
    proof: Annotated[str, StringConstraints(max_length=256)]


class CodeParams(Params):
    """A code of the authenticator app, or a recovery code."""

    code: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]


Name = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[\w .@+-]{1,64}\z")]
LogName = Literal["daemon", "enforcement", "api", "error", "activity", "service"]
Level = Literal["TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


class LockAccountsParams(Params):
    """As `lock_account`, for several accounts; `account_ids` absent means all of them."""

    account_ids: Annotated[list[AccountId], Field(min_length=1, max_length=1000)] | None = None
    minutes: Annotated[int, Field(strict=True, ge=1, le=366 * 24 * 60)] | None = None
    until: UtcTime | None = None
    reason: Reason

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if (self.minutes is None) == (self.until is None):
            raise ValueError("give either minutes or until")
        return self


class AlertTargetParams(Params):
    """`address` is an Apprise address and a secret; absent: the one that is known stays."""

    name: Name
    kinds: Annotated[list[Literal["lockout", "unlock", "enforcement", "warning", "error"]], Field(min_length=1)]
    address: Annotated[SecretStr, Field(min_length=1, max_length=1280)] | None = None
    enabled: bool = True


class NameParams(Params):
    name: Name


class GetLogParams(Params):
    """The last `lines` entries of a log that are at least `level` and contain `text` (in any case)."""

    file: LogName = "daemon"
    lines: Annotated[int, Field(strict=True, ge=1, le=2000)] = 300
    level: Level | None = None
    text: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] = ""


class RestoreBackupParams(Params):
    """`file` as `list_backups` names it; its name says whether it holds state or configuration."""

    file: Annotated[str, StringConstraints(pattern=r"^(state|config)-[0-9A-Za-z_-]{1,64}\.(db|json)\z")]
    dry_run: bool = False


class WhatIfParams(Params):
    """A recorded trading day and the risk_config.yaml to try on it: its text, or a patch of the present one."""

    day: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\d\z")]
    yaml: Annotated[str, StringConstraints(max_length=512 * 1024)] | None = None
    patch: dict[str, Any] | list[dict[str, Any]] | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.yaml is None) == (self.patch is None):
            raise ValueError("give either yaml or patch")
        return self


@dataclass(frozen=True, slots=True)
class Method:
    """`admin`: only signed requests of an admin session. `second_factor`: if one is enrolled, only after it was given
    in this session (a method that loosens only sometimes asks `CallContext.require_second_factor()` itself)."""

    name: str
    params: type[Params]
    admin: bool = False
    second_factor: bool = False

    @property
    def reads(self) -> bool:
        """Whether it only tells something: without an answer there is no point in it."""
        return self.name.startswith(("get_", "list_"))


def _table(methods: Iterable[Method]) -> dict[str, Method]:
    return {method.name: method for method in methods}


METHODS: dict[str, Method] = _table(
    [
        Method("get_status", NoParams),
        Method("get_accounts", NoParams),
        Method("get_positions", AccountParams),
        Method("get_orders", AccountParams),
        Method("get_pnl", AccountParams),
        Method("get_lockouts", MaybeAccountParams),
        Method("get_rules", AccountParams),
        Method("get_trades", GetTradesParams),
        Method("get_pnl_curve", AccountParams),
        Method("get_sessions", AccountParams),
        Method("get_lockout_history", GetLockoutHistoryParams),
        Method("get_enforcement_log", GetEnforcementLogParams),
        Method("subscribe", TopicsParams),
        Method("unsubscribe", TopicsParams),
        Method("lock_account", LockAccountParams),
        Method("auth_begin", AuthBeginParams),
        Method("auth_finish", AuthFinishParams),
        Method("auth_second_factor", CodeParams, admin=True),
        Method("auth_end", NoParams, admin=True),
        Method("reload_config", NoParams, admin=True),
        Method("get_config", NoParams, admin=True),
        Method("set_config", SetConfigParams, admin=True),
        Method("get_pending_config", NoParams, admin=True),
        Method("cancel_pending_config", ChangeParams, admin=True),
        Method("set_credential", SetCredentialParams, admin=True, second_factor=True),
        Method("test_connection", UsernameParams, admin=True),
        Method("clear_lockout", ClearLockoutParams, admin=True, second_factor=True),
        Method("get_audit_log", GetAuditLogParams, admin=True),
        Method("backup_now", NoParams, admin=True),
        Method("stop_daemon", StopDaemonParams, admin=True, second_factor=True),
        Method("second_factor_enroll", NoParams, admin=True, second_factor=True),
        Method("second_factor_confirm", CodeParams, admin=True),
        Method("second_factor_disable", NoParams, admin=True, second_factor=True),
        Method("get_second_factor", NoParams, admin=True),
        Method("lock_accounts", LockAccountsParams, admin=True),
        Method("get_logins", NoParams, admin=True),
        Method("get_presets", NoParams, admin=True),
        Method("get_service_info", NoParams, admin=True),
        Method("get_log", GetLogParams, admin=True),
        Method("get_alert_targets", NoParams, admin=True),
        Method("set_alert_target", AlertTargetParams, admin=True),
        Method("remove_alert_target", NameParams, admin=True, second_factor=True),
        Method("test_alert_target", NameParams, admin=True),
        Method("list_backups", NoParams, admin=True),
        Method("restore_backup", RestoreBackupParams, admin=True),
        Method("get_journal_days", NoParams, admin=True),
        Method("what_if", WhatIfParams, admin=True),
        Method("cancel_what_if", NoParams, admin=True),
    ]
)

SERVED_BY_THE_SOCKET = frozenset({"unsubscribe", "auth_begin", "auth_finish", "auth_second_factor", "auth_end"})
"""Methods the socket answers itself; all others need a handler."""


def validate_params(method: Method, params: dict[str, Any] | None) -> Params:
    """The method's parameters. Raises RpcError -32602 with one sentence that names the parameter."""
    if params is not None and len(params) > _MAX_PARAMS:
        raise RpcError(ErrorCode.INVALID_PARAMS, f"{method.name}: too many parameters ({len(params)}).")
    try:
        return method.params.model_validate(params or {})
    except ValidationError as error:
        raise RpcError(
            ErrorCode.INVALID_PARAMS, f"{method.name}: {sentence(error, method.name, method.params.model_fields)}"
        ) from None
