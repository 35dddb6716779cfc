"""The admin's mutual challenge-response and the signatures of its session, as pure state machines.

HMAC-SHA256 throughout, over a 32-byte key that only administrators can read. Nonces are 32 bytes; nonces and proofs
travel as lower-case hex; `||` joins bytes:

    client -> auth_begin  {client_nonce}
    daemon -> {server_nonce, proof: HMAC(key, "server" || client_nonce || server_nonce)}   a fake daemon can't make it
    client -> auth_finish {proof: HMAC(key, "client" || client_nonce || server_nonce)}   single use
    both      session key = HMAC(key, "session" || client_nonce || server_nonce)
    client -> {method, params, "auth": {"seq": n, "mac": HMAC(session key, n "\\n" method "\\n" params)}}, n = 1, 2, 3 …

`params` inside the mac is JSON with sorted keys and no spaces (`canonical_params`). Times are seconds of any monotonic
clock and enter as arguments; nonces are injected.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 32
_NONCE_HEX = re.compile(r"[0-9a-f]{64}")


class ServerNotProvenError(Exception):
    """The other end does not know the admin key: not the daemon, or not the one that wrote the key."""


def server_proof(key: bytes, client_nonce: bytes, server_nonce: bytes) -> bytes:
    return hmac.digest(key, b"server" + client_nonce + server_nonce, hashlib.sha256)


def client_proof(key: bytes, client_nonce: bytes, server_nonce: bytes) -> bytes:
    return hmac.digest(key, b"client" + client_nonce + server_nonce, hashlib.sha256)


def session_key(key: bytes, client_nonce: bytes, server_nonce: bytes) -> bytes:
    return hmac.digest(key, b"session" + client_nonce + server_nonce, hashlib.sha256)


def canonical_params(params: Mapping[str, Any] | None) -> str:
    """JSON with sorted keys, no spaces, non-ASCII escaped; absent parameters are written `{}`."""
    return json.dumps(params or {}, sort_keys=True, separators=(",", ":"), allow_nan=False)


def request_mac(key: bytes, seq: int, method: str, params_text: str) -> str:
    """The mac of one request, lower-case hex; `key` is the session key."""
    text = f"{seq}\n{method}\n{params_text}".encode("utf-8", "surrogatepass")
    return hmac.digest(key, text, hashlib.sha256).hex()


def _parse_nonce(value: object) -> bytes | None:
    return bytes.fromhex(value) if isinstance(value, str) and _NONCE_HEX.fullmatch(value) else None


class Signer:
    """The client's half of an admin session: numbers and signs requests, in the order in which they are sent."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._seq = 0

    def sign(self, method: str, params: Mapping[str, Any] | None) -> dict[str, object]:
        """The `auth` member of the next request."""
        self._seq += 1
        return {"seq": self._seq, "mac": request_mac(self._key, self._seq, method, canonical_params(params))}


class ClientHandshake:
    """begin_params() -> auth_begin; finish_params(answer) -> auth_finish; signer() once that was accepted."""

    def __init__(self, key: bytes, nonce: bytes) -> None:
        if len(key) != KEY_BYTES or len(nonce) != NONCE_BYTES:
            raise ValueError("the admin key and the nonce are 32 bytes each")
        self._key = key
        self._nonce = nonce
        self._server_nonce: bytes | None = None

    def begin_params(self) -> dict[str, str]:
        return {"client_nonce": self._nonce.hex()}

    def finish_params(self, begin_result: object) -> dict[str, str]:
        """Checks the daemon's proof. Raises ServerNotProvenError; then nothing of ours has been given away."""
        result = begin_result if isinstance(begin_result, dict) else {}
        server_nonce = _parse_nonce(result.get("server_nonce"))
        proof = result.get("proof")
        if server_nonce is None or server_nonce == self._nonce or not isinstance(proof, str):
            raise ServerNotProvenError("The program on the daemon's port gave no usable proof that it is the daemon.")
        wanted = server_proof(self._key, self._nonce, server_nonce).hex()
        if not hmac.compare_digest(wanted.encode(), proof.encode("utf-8", "replace")):
            raise ServerNotProvenError(
                "The program on the daemon's port does not know the admin key, so it is not the daemon."
            )
        self._server_nonce = server_nonce
        return {"proof": client_proof(self._key, self._nonce, server_nonce).hex()}

    def signer(self) -> Signer:
        if self._server_nonce is None:
            raise RuntimeError("the daemon has not been checked yet")
        return Signer(session_key(self._key, self._nonce, self._server_nonce))


@dataclass
class LoginThrottle:
    """Pauses admin logins after too many failures, for all connections together.

    `max_failures` within `window` seconds pause logins for `pause` seconds. Failures during a pause neither count nor
    lengthen it. A trader can pause logins again and again, so an admin's right proof shown during a pause is
    remembered by its connection (`ServerAuth`), which may log in when that pause ends, whatever others do meanwhile.
    """

    max_failures: int = 5
    window: float = 60.0
    pause: float = 60.0
    paused_until: float = float("-inf")
    _failures: deque[float] = field(default_factory=deque)

    def paused(self, now: float) -> bool:
        return now < self.paused_until

    def failed(self, now: float) -> bool:
        """Counts a failure; True when it starts a pause."""
        if self.paused(now):
            return False
        while self._failures and self._failures[0] <= now - self.window:
            self._failures.popleft()
        self._failures.append(now)
        if len(self._failures) < self.max_failures:
            return False
        self._failures.clear()
        self.paused_until = now + self.pause
        return True


class Login(Enum):
    """What became of an `auth_finish`."""

    ACCEPTED = "accepted"
    FAILED = "failed"
    FAILED_AND_PAUSED = "failed and paused"  # the failure that starts a pause
    PAUSED = "paused"  # refused unseen, as far as the caller can tell
    PAUSED_BUT_PROVEN = (
        "paused but proven"  # the caller is told the same; the connection may log in when the pause ends
    )


@dataclass
class AdminGate:
    """What all connections share: the key of this daemon start and the login throttle."""

    key: bytes = field(repr=False)
    throttle: LoginThrottle = field(default_factory=LoginThrottle)

    def __post_init__(self) -> None:
        if len(self.key) != KEY_BYTES:
            raise ValueError("the admin key is 32 bytes")


class ServerAuth:
    """The daemon's half, one per connection.

    `handshake_seconds`: how long a challenge stays good. `idle_seconds`: a session without a signed request for so
    long ends. `max_tampered`: so many wrong signatures end the session.
    """

    def __init__(
        self, gate: AdminGate, *, handshake_seconds: float = 30.0, idle_seconds: float = 900.0, max_tampered: int = 5
    ) -> None:
        self._gate = gate
        self._handshake_seconds = handshake_seconds
        self._idle_seconds = idle_seconds
        self._max_tampered = max_tampered
        self._challenge: tuple[bytes, bytes, float] | None = None
        self._may_log_in_at: float | None = None
        self._session: bytes | None = None
        self._last_seq = 0
        self._last_used = 0.0
        self._tampered = 0

    @property
    def in_session(self) -> bool:
        return self._session is not None

    @property
    def proven(self) -> bool:
        """Whether this connection has shown the key, be it that it is logged in or waits for the end of a pause."""
        return self._session is not None or self._may_log_in_at is not None

    def begin(self, client_nonce: str, server_nonce: bytes, now: float) -> dict[str, str] | None:
        """The answer to auth_begin; None when the client's nonce is not 64 lower-case hex digits."""
        nonce = _parse_nonce(client_nonce)
        if nonce is None or len(server_nonce) != NONCE_BYTES:
            return None
        self._challenge = (nonce, server_nonce, now)
        return {"server_nonce": server_nonce.hex(), "proof": server_proof(self._gate.key, nonce, server_nonce).hex()}

    def finish(self, proof: str, now: float) -> Login:
        """Judges an auth_finish and uses up the challenge."""
        throttle = self._gate.throttle
        challenge, self._challenge = self._challenge, None
        right = False
        if challenge is not None:
            client_nonce, server_nonce, begun_at = challenge
            wanted = client_proof(self._gate.key, client_nonce, server_nonce).hex()
            right = hmac.compare_digest(wanted.encode(), proof.encode("utf-8", "replace"))
            right = right and now - begun_at <= self._handshake_seconds
        if throttle.paused(now) and (self._may_log_in_at is None or now < self._may_log_in_at):
            if not right:
                return Login.PAUSED
            if self._may_log_in_at is None:
                self._may_log_in_at = throttle.paused_until
            return Login.PAUSED_BUT_PROVEN
        if challenge is None or not right:
            return Login.FAILED_AND_PAUSED if throttle.failed(now) else Login.FAILED
        self._may_log_in_at = None
        self._session = session_key(self._gate.key, challenge[0], challenge[1])
        self._last_seq = 0
        self._last_used = now
        self._tampered = 0
        return Login.ACCEPTED

    def wait_seconds(self, now: float) -> float:
        """How long until this connection may log in."""
        until = self._gate.throttle.paused_until
        if self._may_log_in_at is not None:
            until = min(until, self._may_log_in_at)
        return max(0.0, until - now)

    def check(self, method: str, params: Mapping[str, Any] | None, auth: object, now: float) -> str | None:
        """Checks a request's `auth` member; None when it is good, else the sentence to refuse it with.

        Neither a wrong mac nor a wrong number uses up a number, so the true client can go on.
        """
        self.expire(now)
        if self._session is None:
            return "There is no admin session on this connection; log in with auth_begin and auth_finish."
        seq, mac = (auth.get("seq"), auth.get("mac")) if isinstance(auth, dict) else (None, None)
        if type(seq) is not int or not isinstance(mac, str):
            return 'An admin request carries "auth": {"seq": number, "mac": hex}.'
        if seq != self._last_seq + 1:
            return self._refuse("The request's number is not the next one of the session: repeated, lost or reordered.")
        if not self._mac_is_right(mac, seq, method, params):
            return self._refuse("The request's mac does not fit: it was changed on the way or signed with another key.")
        self._last_seq = seq
        self._last_used = now
        return None

    def expire(self, now: float) -> bool:
        """Ends a session that has been idle for too long; True when it did."""
        if self._session is None or now - self._last_used < self._idle_seconds:
            return False
        self.end()
        return True

    def end(self) -> None:
        self._session = None
        self._challenge = None
        self._may_log_in_at = None

    def _refuse(self, sentence: str) -> str:
        self._tampered += 1
        if self._tampered >= self._max_tampered:
            self.end()
        return sentence

    def _mac_is_right(self, mac: str, seq: int, method: str, params: Mapping[str, Any] | None) -> bool:
        assert self._session is not None
        # The contract leaves open whether non-ASCII text is escaped and what absent parameters are; each form below
        # names the same parameters, so taking any of them gives a relay nothing.
        try:
            forms = {canonical_params(params)}
            if params is None:
                forms |= {"null", ""}
            else:
                forms.add(
                    json.dumps(params, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
                )
        except (RecursionError, ValueError):
            return False
        given = mac.encode("utf-8", "replace")
        right = False
        for form in sorted(forms):
            right |= hmac.compare_digest(request_mac(self._session, seq, method, form).encode(), given)
        return right
