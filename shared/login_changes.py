"""Logins of two configurations beside each other: which accounts stay protected, and whose API key is another one.

A key that the gateway does not accept ends the protection of all accounts of its login, and nobody can tell by looking
at it. So the key in force stays until the gateway has accepted the other one (`daemon.protection`).
"""

from collections.abc import Collection

from shared.config import AccountsConfig, LoginConfig


def strictest_logins(old: AccountsConfig, new: AccountsConfig) -> tuple[LoginConfig, ...]:
    """All accounts that either protects; one that moves to another enabled login stays protected and simply moves."""
    before = {login.username.casefold(): login for login in old.logins}
    after = {login.username.casefold(): login for login in new.logins}
    moved = {number: name for name, login in after.items() if login.enabled for number in _listed(login)}
    logins = [
        _strictest_login(before.get(name), after.get(name), {n for n, owner in moved.items() if owner != name})
        for name in dict.fromkeys([*after, *before])
    ]
    kept = [login for login in logins if login is not None]
    active = {number for login in kept if login.enabled for number in _listed(login)}
    return tuple(
        login
        if login.enabled or login.accounts == "all"
        else login.model_copy(update={"accounts": tuple(n for n in _listed(login) if n not in active)})
        for login in kept
    )


def _listed(login: LoginConfig) -> tuple[int, ...]:
    return () if login.accounts == "all" else login.accounts


def _strictest_login(old: LoginConfig | None, new: LoginConfig | None, moved: set[int]) -> LoginConfig | None:
    if old is None or not old.enabled:
        return new
    still = tuple(number for number in _listed(old) if number not in moved)
    if new is None or not new.enabled:
        if old.accounts != "all" and not still:
            return new
        return old.model_copy(update={"accounts": old.accounts if old.accounts == "all" else still})
    # The name stays as it is written: to the gateway, Trader1 and trader1 need not be the same user.
    if old.accounts == "all" or new.accounts == "all":
        return old.model_copy(update={"accounts": "all"})
    return old.model_copy(update={"accounts": tuple(dict.fromkeys([*new.accounts, *still]))})


def changed_keys(active: AccountsConfig, wished: AccountsConfig) -> list[LoginConfig]:
    """The logins of ``wished`` that are enabled in both and have another API key in ``active``."""
    known = {login.username: login for login in active.logins if login.enabled}
    return [
        login
        for login in wished.logins
        if login.enabled and login.username in known and login.api_key != known[login.username].api_key
    ]


def with_keys_in_force(
    config: AccountsConfig, keys: AccountsConfig, accepted: Collection[LoginConfig] | None = None
) -> AccountsConfig:
    """``config`` with the API keys that its logins have in ``keys``, as far as both have them enabled.

    ``accepted``: of these logins alone, and only if the key in ``keys`` is still theirs.
    """
    known = {login.username: login for login in keys.logins if login.enabled}
    if accepted is not None:
        tried = {(login.username, login.api_key) for login in accepted}
        known = {name: login for name, login in known.items() if (name, login.api_key) in tried}
    logins = tuple(
        login.model_copy(update={"api_key": known[login.username].api_key})
        if login.enabled and login.username in known
        else login
        for login in config.logins
    )
    return config.model_copy(update={"logins": logins})
