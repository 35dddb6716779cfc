"""The optional second factor of admin sessions: TOTP (RFC 6238: SHA-1, 6 digits, 30 s) and recovery codes.

Most traders are administrators of their own PC, so somebody else, the partner or the desk, can hold the authenticator.
What is kept (the secret, the last time-step used, the hashed recovery codes, the throttle) goes through a
`FactorStore`, in the daemon the system keyring. Times are microseconds UTC and enter as arguments. When in doubt,
protected: a store that can't be read counts as enrolled, and then no code is accepted.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Protocol

import pyotp
from pydantic import BaseModel, ConfigDict, Field, ValidationError

STEP_SECONDS = 30
DRIFT_STEPS = 1
"""A code is good in its own time-step and one before and after: clocks differ, and people type slowly."""
MAX_FAILURES = 5
FIRST_PAUSE_SECONDS = 60
LONGEST_PAUSE_SECONDS = 3600
RECOVERY_CODES = 10
_SECOND = 1_000_000
_RECOVERY_BYTES = 10
_ENROLMENT_SECONDS = 600


class FactorStore(Protocol):
    """Keeps one text. `load` returns None when nothing was ever saved; both raise whatever they like on failure."""

    def load(self) -> str | None: ...

    def save(self, text: str | None) -> None:
        """Replaces the text; None forgets it."""
        ...


class SecondFactorError(Exception):
    """An enrolment step that can't be done; one plain sentence."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Shown once: the secret for the authenticator, as text and as an otpauth:// address for a QR code, and codes."""

    secret: str
    uri: str
    recovery_codes: tuple[str, ...]


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: Annotated[int, Field(ge=1, le=1)] = 1
    secret: Annotated[str, Field(pattern=r"^([A-Z2-7]{8}){2,}\z")]
    last_step: int = -1
    salt: Annotated[str, Field(pattern=r"^([0-9a-f]{2})+\z")]
    recovery: list[str]
    failures: Annotated[int, Field(ge=0)] = 0
    pauses: Annotated[int, Field(ge=0)] = 0
    paused_until: int = 0


class SecondFactor:
    """Enrolment and checking. `token_bytes` gives random bytes; one thread only."""

    def __init__(
        self,
        store: FactorStore,
        *,
        issuer: str = "Risk Manager",
        token_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._store = store
        self._issuer = issuer
        self._token_bytes = token_bytes
        self._kept: _Kept | None = None
        self._fresh: _Kept | None = None
        self._fresh_until = 0
        self.broken: str | None = None
        """Why the store can't be read, as one sentence; None when it can."""
        try:
            text = store.load()
            self._kept = None if text is None else _Kept.model_validate_json(text)
        except ValidationError:
            self.broken = (
                "The second factor's stored data is damaged, so no code is accepted until an administrator resets it."
            )
        except Exception as error:  # noqa: BLE001 - keyring back ends raise what they like
            self.broken = f"The second factor can't be read ({type(error).__name__}), so no code is accepted."

    @property
    def enrolled(self) -> bool:
        """Whether a code is asked for; also when the store can't be read."""
        return self._kept is not None or self.broken is not None

    @property
    def recovery_codes_left(self) -> int:
        """How many recovery codes have not been used."""
        return 0 if self._kept is None else len(self._kept.recovery)

    def pause_left(self, now: int) -> int:
        """Seconds for which no code is looked at, after too many wrong ones; rounded up."""
        until = 0 if self._kept is None else self._kept.paused_until
        return max(0, -((now - until) // _SECOND))

    def begin_enrolment(self, account_name: str, now: int) -> Enrolment:
        """Makes a secret and recovery codes; nothing is asked of anybody until `confirm_enrolment`, within ten minutes.

        Over an enrolled factor it makes its replacement: the caller has checked the present one. Raises
        SecondFactorError when the store is broken.
        """
        if self.broken is not None:
            raise SecondFactorError(self.broken)
        secret = base64.b32encode(self._token_bytes(20)).decode()
        salt = self._token_bytes(16).hex()
        codes = tuple(self._new_recovery_code() for _ in range(RECOVERY_CODES))
        self._fresh = _Kept(secret=secret, salt=salt, recovery=[_hash(salt, code) for code in codes])
        self._fresh_until = now + _ENROLMENT_SECONDS * _SECOND
        uri = pyotp.TOTP(secret).provisioning_uri(name=account_name, issuer_name=self._issuer)
        return Enrolment(secret, uri, codes)

    def confirm_enrolment(self, code: str, now: int) -> bool:
        """Enrols once the authenticator has shown a right code. Raises SecondFactorError without a fresh enrolment."""
        if self._fresh is None or now > self._fresh_until:
            self._fresh = None
            raise SecondFactorError("There is no enrolment to confirm; begin a new one.")
        step = _matching_step(self._fresh.secret, code, now)
        if step is None:
            return False
        fresh = self._fresh.model_copy(update={"last_step": step})
        self._save(fresh)
        self._kept, self._fresh = fresh, None
        return True

    def disable(self) -> None:
        """Forgets the factor; the caller has checked that it was given. Raises SecondFactorError when it can't."""
        if self.broken is not None:
            raise SecondFactorError(self.broken)
        self._save(None)
        self._kept = None

    def verify(self, code: str, now: int) -> bool:
        """Judges a code of the authenticator or a recovery code, and uses it up before it says yes.

        False also during a pause and when what was used up can't be stored.
        """
        kept = self._kept
        if self.broken is not None or kept is None or now < kept.paused_until:
            return False
        step = _matching_step(kept.secret, code, now)
        if step is not None and step > kept.last_step:
            changed = kept.model_copy(update={"last_step": step, "failures": 0, "pauses": 0})
            return self._use(changed)
        hashed = _hash(kept.salt, code)
        if any(hmac.compare_digest(hashed, one) for one in kept.recovery):
            left = [one for one in kept.recovery if one != hashed]
            return self._use(kept.model_copy(update={"recovery": left, "failures": 0, "pauses": 0}))
        self._count_failure(kept, now)
        return False

    def _count_failure(self, kept: _Kept, now: int) -> None:
        # Pauses grow and outlive a restart: restarting the daemon must not buy an attacker five more guesses.
        failures, pauses, until = kept.failures + 1, kept.pauses, kept.paused_until
        if failures >= MAX_FAILURES:
            seconds = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(pauses, 10))
            failures, pauses, until = 0, pauses + 1, now + seconds * _SECOND
        self._use(kept.model_copy(update={"failures": failures, "pauses": pauses, "paused_until": until}))

    def _use(self, changed: _Kept) -> bool:
        # In memory in any case, so that a store which fails can't be used to try a code twice.
        self._kept = changed
        try:
            self._save(changed)
        except SecondFactorError:
            return False
        return True

    def _save(self, kept: _Kept | None) -> None:
        try:
            self._store.save(None if kept is None else kept.model_dump_json())
        except Exception as error:
            raise SecondFactorError(f"The second factor can't be stored ({type(error).__name__}: {error}).") from error

    def _new_recovery_code(self) -> str:
        text = base64.b32encode(self._token_bytes(_RECOVERY_BYTES)).decode()
        return "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def _matching_step(secret: str, code: str, now: int) -> int | None:
    """The time-step whose code this is; the comparison takes the same time for every code."""
    digits = code.replace(" ", "")
    if len(digits) != 6 or not (digits.isascii() and digits.isdigit()):
        return None
    totp = pyotp.TOTP(secret)
    current = now // _SECOND // STEP_SECONDS
    found = None
    for step in range(current - DRIFT_STEPS, current + DRIFT_STEPS + 1):
        if hmac.compare_digest(totp.generate_otp(step), digits):
            found = step
    return found


def _hash(salt: str, code: str) -> str:
    # The codes are 80 random bits: there is nothing to slow a guesser down for, a plain salted hash is enough.
    plain = code.upper().replace("-", "").replace(" ", "")
    return hashlib.sha256(bytes.fromhex(salt) + plain.encode()).hexdigest()
