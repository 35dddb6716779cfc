"""What a change of configuration does to the protection, and the part of it that may apply at once.

Each setting says beside itself which change weakens it (`shared.config_fields.setting`). From that follows, for any two
configurations, their *strictest common form*: it forbids all that either of them forbids. `split` applies it at once;
what is left to reach the new configuration are the changes that loosen. Per-account overrides are compared by what they
amount to for the account.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, overload

from pydantic import BaseModel

from shared.config import (
    AccountsConfig,
    Holiday,
    HolidayCalendar,
    ResetConfig,
    RiskConfig,
    RulesConfig,
)
from shared.config_strictness import Context, Tree, strictest_group, strictest_rules
from shared.login_changes import strictest_logins

Effect = Literal["tightens", "loosens", "neutral"]
type AnyConfig = RiskConfig | AccountsConfig | HolidayCalendar


@dataclass(frozen=True)
class Change:
    """One value that differs. ``old`` and ``new`` are plain values (None: absent); amounts are Decimal."""

    steps: tuple[str, ...]
    old: Any
    new: Any
    effect: Effect

    @property
    def path(self) -> str:
        """Dotted path, for people: "rules.daily_realized_loss.limit", "logins.trader1.accounts"."""
        return ".".join(self.steps)

    @property
    def id(self) -> str:
        """Stable name of this change, the same after a restart."""
        text = json.dumps([self.steps, self.old, self.new], default=str, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def diff(old: AnyConfig, new: AnyConfig) -> list[Change]:
    """All differences between two configurations of one kind, each with its effect on the protection.

    A change that an account takes over from `rules` with the same effect is listed once, at `rules`. Raises TypeError
    for different kinds.
    """
    if isinstance(old, RiskConfig) and isinstance(new, RiskConfig):
        return _risk_changes(old, new)
    if isinstance(old, AccountsConfig) and isinstance(new, AccountsConfig):
        forth, back = _strictest_accounts(old, new), _strictest_accounts(new, old)
        return list(_changes(_each(_accounts_tree, old, new, forth, back), ()))
    if isinstance(old, HolidayCalendar) and isinstance(new, HolidayCalendar):
        days, past = _strictest_holidays(old, new), _strictest_holidays(new, old)
        return list(_changes(_each(tree_of, old, new, days, past), ()))
    raise TypeError("the two configurations are not of one kind")


@overload
def split(old: RiskConfig, new: RiskConfig) -> tuple[RiskConfig, list[Change]]: ...
@overload
def split(old: AccountsConfig, new: AccountsConfig) -> tuple[AccountsConfig, list[Change]]: ...
@overload
def split(old: HolidayCalendar, new: HolidayCalendar) -> tuple[HolidayCalendar, list[Change]]: ...
def split(old: AnyConfig, new: AnyConfig) -> tuple[AnyConfig, list[Change]]:
    """The configuration to apply now, nowhere looser than ``old`` nor than ``new``, and what waits for the next reset.

    What waits is what is left between the applied configuration and ``new``: the same when it is asked for again.
    ``policy.loosen: immediately`` is the caller's to look at: this answers as if it said next_reset.
    """
    if not _loosening(old, new):
        return new, []
    applied: AnyConfig
    if isinstance(old, RiskConfig) and isinstance(new, RiskConfig):
        applied = _strictest_risk(old, new)
    elif isinstance(old, AccountsConfig) and isinstance(new, AccountsConfig):
        applied = _strictest_accounts(old, new)
    elif isinstance(old, HolidayCalendar) and isinstance(new, HolidayCalendar):
        applied = _strictest_holidays(old, new)
    else:
        raise TypeError("the two configurations are not of one kind")
    return applied, _loosening(applied, new)


def _loosening(old: AnyConfig, new: AnyConfig) -> list[Change]:
    return [change for change in diff(old, new) if change.effect == "loosens"]


def tree_of(config: BaseModel) -> Tree:
    """Plain values of a configuration under the keys of its file; what is absent is left out."""
    return {str(key): _plain(value) for key, value in config.model_dump(exclude_none=True).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(below) for key, below in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


type _Four = tuple[Any, Any, Any, Any]


def _each[T](tree: Callable[[T], Tree], old: T, new: T, forth: T, back: T) -> _Four:
    return tree(old), tree(new), tree(forth), tree(back)


def _changes(four: _Four, path: tuple[str, ...]) -> Iterator[Change]:
    """Differences leaf by leaf. ``forth`` is the strictest form coming from old, ``back`` coming from new.

    A value that the strictest form takes from ``new`` does not loosen; if the way back takes ``old`` as well, neither
    of them is stricter.
    """
    old, new, forth, back = four
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            parts = [tree.get(key) if isinstance(tree, dict) else None for tree in four]
            yield from _changes((parts[0], parts[1], parts[2], parts[3]), (*path, key))
        return
    effect: Effect = "loosens"
    if forth == new:
        effect = "neutral" if back == old else "tightens"
    yield Change(path, old, new, effect)


# --- risk_config.yaml ------------------------------------------------------------------------------------------------


def _strictest_risk(old: RiskConfig, new: RiskConfig) -> RiskConfig:
    context = Context(old.reset)
    rules = strictest_rules(old.rules, new.rules, context)
    accounts: dict[int, Tree] = {}
    for number in dict.fromkeys([*new.accounts, *old.accounts]):
        wanted = tree_of(strictest_rules(old.rules_for(number), new.rules_for(number), context))
        override = _override(tree_of(rules), wanted)
        if number in new.accounts:
            # What the new configuration says for the account itself must not move with `rules` at the reset.
            override = _merge(_named(new.accounts[number].rules, wanted), override)
        if override or number in new.accounts:
            accounts[number] = {"rules": override}
    return RiskConfig.model_validate(
        {
            "version": new.version,
            "reset": strictest_group(old.reset, new.reset, context),
            "policy": strictest_group(old.policy, new.policy, context),
            "ipc": new.ipc,
            "logging": new.logging,
            "rules": rules,
            "accounts": accounts,
        }
    )


def _override(base: Tree, wanted: Tree) -> Tree:
    """What has to be laid over ``base`` to get ``wanted``; a rule that is not wanted is switched off."""
    found: Tree = {}
    for key in dict.fromkeys([*wanted, *base]):
        if key not in wanted:
            if base[key].get("enabled", True):
                found[key] = {"enabled": False}
        elif key not in base:
            found[key] = wanted[key]
        elif base[key] != wanted[key]:
            found[key] = _difference(base[key], wanted[key])
    return found


def _difference(base: Tree, wanted: Tree) -> Tree:
    found: Tree = {}
    for key in dict.fromkeys([*wanted, *base]):
        if key not in wanted:
            found[key] = None
        elif isinstance(base.get(key), dict) and isinstance(wanted[key], dict):
            if base[key] != wanted[key]:
                found[key] = _difference(base[key], wanted[key])
        elif key not in base or base[key] != wanted[key]:
            found[key] = wanted[key]
    return found


def _named(names: Mapping[str, Any], values: Tree) -> Tree:
    """The part of ``values`` that has the keys of ``names``."""
    found: Tree = {}
    for written, below in names.items():
        key = written if written in values else str(written).strip().upper()
        if key in values:
            nested = isinstance(below, Mapping) and isinstance(values[key], dict)
            found[key] = _named(below, values[key]) if nested else values[key]
    return found


def _merge(base: Tree, over: Tree) -> Tree:
    merged = dict(base)
    for key, value in over.items():
        nested = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if nested else value
    return merged


def _risk_changes(old: RiskConfig, new: RiskConfig) -> list[Change]:
    forth, back = Context(old.reset), Context(new.reset)
    found: list[Change] = []
    for section in ("version", "reset", "policy", "ipc", "logging"):
        before, after = getattr(old, section), getattr(new, section)
        if isinstance(before, BaseModel):
            stricter, reverse = strictest_group(before, after, forth), strictest_group(after, before, back)
            found += _changes(_each(tree_of, before, after, stricter, reverse), (section,))
        elif before != after:
            found.append(Change((section,), before, after, "neutral"))
    everywhere = list(_rule_changes(old.rules, new.rules, forth, back, ("rules",)))
    found += everywhere
    # Not where the same change does something else for an account: what is off for all may be on for one.
    inherited = {(change.steps, _frozen(change.old), _frozen(change.new), change.effect) for change in everywhere}
    for number in sorted({*old.accounts, *new.accounts}):
        prefix = ("accounts", str(number), "rules")
        for change in _rule_changes(old.rules_for(number), new.rules_for(number), forth, back, prefix):
            if (change.steps[2:], _frozen(change.old), _frozen(change.new), change.effect) not in inherited:
                found.append(change)
    return found


def _rule_changes(
    old: RulesConfig, new: RulesConfig, forth: Context, back: Context, prefix: tuple[str, ...]
) -> Iterator[Change]:
    stricter, reverse = strictest_rules(old, new, forth), strictest_rules(new, old, back)
    yield from _changes(_each(tree_of, old, new, stricter, reverse), prefix)


def _frozen(value: Any) -> str:
    return json.dumps(value, default=str, sort_keys=True)


# --- accounts.yaml -------------------------------------------------------------------------------------------------


def _accounts_tree(config: AccountsConfig) -> Tree:
    """Plain values with the logins by user name; a key is only told to be in the keyring, set, or another one."""
    logins = {}
    for login in config.logins:
        secret = login.api_key.get_secret_value()
        key = "keyring" if login.uses_keyring else f"set ({hashlib.sha256(secret.encode()).hexdigest()[:6]})"
        logins[login.username] = {"api_key": key, "accounts": _plain(login.accounts), "enabled": login.enabled}
    return {"gateway": tree_of(config.gateway), "logins": logins}


def _strictest_accounts(old: AccountsConfig, new: AccountsConfig) -> AccountsConfig:
    return AccountsConfig(
        gateway=strictest_group(old.gateway, new.gateway, Context(ResetConfig())),
        logins=strictest_logins(old, new),
    )


# --- holidays.yaml -------------------------------------------------------------------------------------------------


def _strictest_holidays(old: HolidayCalendar, new: HolidayCalendar) -> HolidayCalendar:
    dates: dict[dt.date, Holiday] = {}
    for date in sorted({*old.dates, *new.dates}):
        before, after = old.dates.get(date), new.dates.get(date)
        if before is None and after is not None:
            # An early close in another zone can't be taken over alone; it waits with the change of the zone.
            if after.closed or old.timezone == new.timezone:
                dates[date] = after
        elif before is not None:
            comparable = after is not None and (after.closed or old.timezone == new.timezone)
            dates[date] = after if after is not None and comparable and _not_later(after, before) else before
    return HolidayCalendar(timezone=old.timezone, dates=dates)


def _not_later(first: Holiday, second: Holiday) -> bool:
    if first.early_close is None or second.early_close is None:
        return first.closed
    return first.early_close <= second.early_close
