"""What of an admin's request must never be written down: finds it, takes it out, and tells the logs' filter of it.

A secret comes under a key that names it ({"api_key": ...}), at the end of a path ({"path": "logins.trader1.api_key",
"value": ...}), in a login that is not written as it should be ({"logins": {"trader1": ...}}), or in a file's text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from daemon.credentials import redact, register_secret

REMOVED: Final = "***"

_SECRET_WORDS: Final = frozenset(
    {"apikey", "password", "passwd", "passphrase", "secret", "token", "proof", "mac", "nonce", "code", "credential"}
)
_SECRET_ENDS: Final = ("_key", "_token", "_secret", "_password")
_SECRET_PARTS: Final = ("apikey", "password", "secret", "credential")
_PLAIN_LOGIN_KEYS: Final = frozenset({"username", "enabled", "accounts"})
_NO_SECRETS: Final = frozenset({"keyring", "all", "true", "false", ""})
_IN_TEXT: Final = re.compile(
    # The value of the key to the end of its line (in { } to the bracket), and the deeper lines that go on with it.
    r"""^(?P<before>(?P<indent>[ \t]*)(?:-[ \t]+)*(?:[^\n#]*?[{,\[][ \t]*)?["']?api[_ -]?key["']?[ \t]*:[ \t]*)"""
    r"""(?P<value>[^\n]*(?:\n(?=(?P=indent)[ \t]+(?:[^\n:]*|["'|>][^\n]*)$)[^\n]*)*)""",
    re.IGNORECASE | re.MULTILINE,
)


def without_secrets(value: object) -> Any:
    """A JSON-able value with everything taken out that is, or may be, a secret."""
    return _cleaned(value, within_login=False)


def register_secrets(value: object) -> None:
    """Have the logs' filter hide from now on what `without_secrets` takes out of `value`."""
    for secret in _secrets_in(value, within_login=False):
        if secret.casefold() not in _NO_SECRETS:
            register_secret(secret)


def names_secret(key: str) -> bool:
    """Whether a key, or any part of a dotted path, says that its value is secret."""
    return any(
        part in _SECRET_WORDS
        or part.endswith(_SECRET_ENDS)
        or any(word in part.replace("_", "") for word in _SECRET_PARTS)
        for part in re.sub(r"[- ]", "_", key.casefold()).split(".")
    )


def _is_step(value: Mapping[Any, Any]) -> bool:
    """Whether this is one entry of a patch: {"path": ..., "value": ...}."""
    return "path" in value and "value" in value


def _step_kind(path: object) -> tuple[bool, bool]:
    """Of a path: whether it leads to a secret, and whether it leads to a login or into one."""
    parts = [str(part) for part in path] if isinstance(path, list | tuple) else str(path).split(".")
    # A user name may be called anything: it is not what the value is.
    named = any(names_secret(part) for index, part in enumerate(parts) if not (index == 1 and parts[0] == "logins"))
    within = parts[0].strip().casefold() == "logins" and parts[-1].casefold() not in _PLAIN_LOGIN_KEYS
    return named or (len(parts) > 2 and within), within


def _cleaned(value: object, *, within_login: bool) -> Any:
    if isinstance(value, Mapping):
        if _is_step(value):
            secret, within = _step_kind(value["path"])
            shown = {str(key): _cleaned(inner, within_login=False) for key, inner in value.items()}
            inner = value["value"]
            keep = inner is None or (isinstance(inner, bool | int) and not secret)
            shown["value"] = inner if keep else REMOVED if secret else _cleaned(inner, within_login=within)
            return shown
        return {
            str(key): REMOVED
            if names_secret(str(key)) and inner is not None
            else _cleaned(inner, within_login=_below(str(key), within_login=within_login))
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_cleaned(inner, within_login=within_login) for inner in value]
    if isinstance(value, str):
        return REMOVED if within_login and value.casefold() not in _NO_SECRETS else redact(_without_keys(value))
    return value


def _below(key: str, *, within_login: bool) -> bool:
    if within_login:
        return key.casefold() not in _PLAIN_LOGIN_KEYS
    return key.strip().casefold() == "logins"


def _secrets_in(value: object, *, within_login: bool) -> Iterator[str]:
    if isinstance(value, Mapping):
        if _is_step(value):
            secret, within = _step_kind(value["path"])
            yield from _texts(value["value"]) if secret else _secrets_in(value["value"], within_login=within)
            return
        for key, inner in value.items():
            if names_secret(str(key)):
                yield from _texts(inner)
            else:
                yield from _secrets_in(inner, within_login=_below(str(key), within_login=within_login))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _secrets_in(inner, within_login=within_login)
    elif isinstance(value, str):
        if within_login:
            yield value
        for found in _IN_TEXT.finditer(value):
            yield from (line.strip(" \t\"'{}[],|>") for line in found["value"].splitlines())


def _texts(value: object) -> Iterator[str]:
    """Every text below a key that names a secret."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, int) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _without_keys(text: str) -> str:
    """A file's text without what follows `api_key:`; a reference to the key store may stay."""

    def hidden(found: re.Match[str]) -> str:
        plain = found["value"].strip().strip("\"'")
        return found[0] if plain.split(" ")[0].rstrip("},") == "keyring" else f"{found['before']}{REMOVED}"

    return _IN_TEXT.sub(hidden, text) if "key" in text.casefold() else text
