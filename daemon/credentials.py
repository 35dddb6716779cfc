"""API keys in the system's key store, and keeping keys and tokens out of everything that is written."""

import queue
import re
import threading
import urllib.parse
from collections.abc import Callable
from typing import Any, Protocol

from shared.config import LoginConfig

SERVICE = "RiskManager"
MAX_KEY_LENGTH = 1280
"""Characters; the Windows credential vault takes no more (2560 bytes of UTF-16), so nowhere is more accepted."""

_TIMEOUT_S = 5.0
"""A Linux secret service can wait for ever for somebody to unlock it."""


class CredentialError(Exception):
    """The key store can't be used, or has no key; the text is one sentence for people and never holds a key."""


class Backend(Protocol):
    """What is used of a keyring backend (or of the module `keyring` itself)."""

    def get_password(self, service_name: str, username: str, /) -> str | None:
        """The secret of an entry, None if there is none. Blocks; raises whatever the backend likes."""

    def set_password(self, service_name: str, username: str, password: str, /) -> None:
        """Store or replace an entry's secret. Blocks; raises whatever the backend likes."""

    def delete_password(self, service_name: str, username: str, /) -> None:
        """Delete an entry. Blocks; raises whatever the backend likes, also when there is none."""


class CredentialStore:
    """The API keys of all logins. Every call may take up to ``timeout`` seconds: not for the event loop's thread."""

    def __init__(self, backend: Backend | None = None, timeout: float = _TIMEOUT_S) -> None:
        self._backend = backend
        self._timeout = timeout

    @property
    def is_the_systems(self) -> bool:
        """Whether the system's own key store is asked."""
        return self._backend is None

    def get(self, username: str) -> str:
        """The key of ``username``; it is registered for `redact`. Raises CredentialError, also if there is none."""
        key = self._call(lambda backend: backend.get_password(SERVICE, username))
        if not key:
            raise CredentialError(
                f"no API key is stored for {username}; enter it in the admin window, which hands it to the daemon"
            )
        register_secret(key)
        return str(key)

    def has(self, username: str) -> bool:
        """Whether a key is stored for ``username``. Raises CredentialError if the store can't be asked."""
        return bool(self._call(lambda backend: backend.get_password(SERVICE, username)))

    def set(self, username: str, key: str) -> None:
        """Store the key of ``username`` and read it back. Raises CredentialError."""
        key = checked_key(key)
        register_secret(key)
        if not username.strip():
            raise CredentialError("the user name is empty; give the name of the login")
        self._call(lambda backend: backend.set_password(SERVICE, username, key))
        if self._call(lambda backend: backend.get_password(SERVICE, username)) != key:
            raise CredentialError(f"the system's key store did not keep the key of {username}; check its settings")

    def delete(self, username: str) -> None:
        """Forget the key of ``username``, if there is one. Raises CredentialError if the store can't be used."""
        if self.has(username):
            self._call(lambda backend: backend.delete_password(SERVICE, username))

    def _call(self, work: Callable[[Backend], Any]) -> Any:
        """Run ``work`` in a thread of its own, which is left behind if the store hangs."""
        answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

        def run() -> None:
            try:
                backend = self._backend if self._backend is not None else _system_backend()
                answers.put((work(backend), None))
            except Exception as error:  # noqa: BLE001 - whatever a backend raises is told in the caller's thread
                answers.put((None, error))

        # A daemon thread: one that hangs must not keep the program from ending, as a pool's would.
        threading.Thread(target=run, name="keyring", daemon=True).start()
        try:
            result, error = answers.get(timeout=self._timeout)
        except queue.Empty:
            raise CredentialError(
                f"the system's key store did not answer within {self._timeout:g} s; unlock it or start it again"
            ) from None
        if error is not None:
            raise CredentialError(_sentence(error)) from None
        return result


def _system_backend() -> Backend:
    # Imported when first needed: a daemon whose keys stand in the file is spared 12 MiB.
    import keyring
    import keyring.errors
    from keyring.backends import fail, null

    backend = keyring.get_keyring()
    if isinstance(backend, fail.Keyring | null.Keyring):
        raise keyring.errors.NoKeyringError
    return backend


def _sentence(error: BaseException) -> str:
    import keyring.errors

    if isinstance(error, CredentialError):
        return str(error)
    if isinstance(error, keyring.errors.NoKeyringError):
        return (
            "this system has no key store; install one (on Linux a secret service),"
            " or write the key in accounts.yaml as api_key"
        )
    if isinstance(error, keyring.errors.KeyringLocked):
        return "the system's key store is locked; unlock it and try again"
    if isinstance(error, keyring.errors.PasswordSetError):
        return "the system's key store refused the key; check that this account may write to it"
    return f"the system's key store failed ({type(error).__name__}); check that it runs for this account"


def checked_key(key: str) -> str:
    """``key`` without blanks around it. Raises CredentialError if it can't be an API key."""
    key = key.strip()
    if not key:
        raise CredentialError("the API key is empty; copy it again from the broker's page")
    if len(key) > MAX_KEY_LENGTH:
        raise CredentialError(f"the API key has {len(key)} characters, at most {MAX_KEY_LENGTH} can be stored")
    if any(not character.isprintable() or character.isspace() for character in key):
        raise CredentialError("the API key has a blank or a control character in it; copy it again")
    if key == "keyring":
        raise CredentialError('"keyring" is the word for keys in the key store, not a key; enter the key itself')
    return key


def key_of(login: LoginConfig, store: CredentialStore) -> str:
    """The API key of a login, from accounts.yaml or from the key store; registered for `redact`.

    Raises CredentialError.
    """
    if login.uses_keyring:
        return store.get(login.username)
    key = checked_key(login.api_key.get_secret_value())
    register_secret(key)
    return key


# --- keeping secrets out of logs -------------------------------------------------------------------------------------

HIDDEN = "[hidden]"
_SHORTEST_SECRET = 6
"""Shorter texts are not hidden: they would be found in the middle of ordinary words."""

_lock = threading.Lock()
_secrets: set[str] = set()
_known: re.Pattern[str] | None = None

_TOKENS = re.compile(
    r"""
      \beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,2}                    # a JWT, or the beginning of one
    | (?<=access_token=)[^&\s"'<>]+                                      # in the addresses of the hubs
    | (?<=access_token%3D)[^&\s"'<>%]+
    | (?i:(?<=\bbearer[ ]))[A-Za-z0-9._~+/=-]{6,}
    """,
    re.VERBOSE,
)
_FIELDS = re.compile(
    r"""(["']?\b(?:api_?key|password|secret|token|new_?token|access_?token)["']?\s*[:=]\s*)"""
    r"""(?!\[hidden\]|keyring\b|None\b|null\b|["']keyring["'])("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s,;&}\])"']+)""",
    re.IGNORECASE,
)


def register_secret(text: str) -> None:
    """Have `redact` hide ``text`` from now on, also where it is written in an address or as a part of JSON."""
    global _known  # noqa: PLW0603 - one set for the process: log lines come from everywhere
    if len(text) < _SHORTEST_SECRET:
        return
    with _lock:
        forms = {text, urllib.parse.quote(text, safe=""), urllib.parse.quote(text), text.replace("\\", "\\\\")}
        if forms <= _secrets:
            return
        _secrets.update(forms)
        # The longest first, so that of two secrets of which one begins with the other nothing is left over.
        _known = re.compile("|".join(re.escape(secret) for secret in sorted(_secrets, key=len, reverse=True)))


def redact(text: str) -> str:
    """``text`` with registered secrets, JWTs, bearer tokens, ``access_token=`` and key fields hidden."""
    known = _known
    if known is not None:
        text = known.sub(HIDDEN, text)
    # Most lines hold none of these words; looking for them first is ten times faster than the patterns.
    lower = text.lower()
    if "eyj" in lower or "token" in lower or "bearer" in lower:
        text = _TOKENS.sub(HIDDEN, text)
    if "key" in lower or "token" in lower or "secret" in lower or "password" in lower:
        text = _FIELDS.sub(rf"\g<1>{HIDDEN}", text)
    return text
