"""Logins, session tokens and the gateway's request limit."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections import deque
from dataclasses import dataclass, field

import orjson

from daemon.simulator.clock import SECOND, SimClock

CLAIM = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def make_token(secret: bytes, claims: dict[str, object]) -> str:
    """A signed JWT (HS256)."""
    head = _base64(orjson.dumps({"alg": "HS256", "typ": "JWT"}))
    body = _base64(orjson.dumps(claims))
    mark = hmac.new(secret, f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{_base64(mark)}"


@dataclass(slots=True)
class LoginState:
    """One user of the gateway and what it has used of its limit. `refusal`: error code that loginKey answers with."""

    username: str
    api_key: str
    account_ids: list[int] = field(default_factory=list)
    refusal: int = 0
    recent: deque[float] = field(default_factory=deque)


@dataclass(slots=True)
class Session:
    """What a token stands for; `expires_at` in microseconds of broker time."""

    login: LoginState
    expires_at: int
    revoked: bool = False


class Sessions:
    """Issues and checks tokens. Expiry follows the simulator's clock."""

    def __init__(self, clock: SimClock, ttl: float, seed: int) -> None:
        self.logins: dict[str, LoginState] = {}
        self.ttl = ttl
        self._clock = clock
        self._secret = hashlib.sha256(f"simulated gateway {seed}".encode()).digest()
        self._tokens: dict[str, Session] = {}
        self._issued = 0

    def issue(self, login: LoginState) -> str:
        """A new token of this login, valid for `ttl` seconds of broker time."""
        self._issued += 1
        expires = self._clock.now() + round(self.ttl * SECOND)
        token = make_token(
            self._secret,
            {
                CLAIM + "nameidentifier": str(1000 + list(self.logins).index(login.username)),
                CLAIM + "name": login.username,
                CLAIM + "sid": f"{self._issued:08d}",
                "exp": expires // SECOND,
                "iss": "simulated-gateway",
            },
        )
        self._tokens[token] = Session(login, expires)
        return token

    def check(self, token: str | None) -> Session | None:
        """The session of a token, None when it is unknown, revoked or expired."""
        session = self._tokens.get(token) if token else None
        if session is None or session.revoked or session.expires_at <= self._clock.now():
            return None
        return session

    def revoke(self, username: str | None = None, token: str | None = None) -> int:
        """Make tokens invalid at once: one, a login's, or all. Returns how many were."""
        hits = [
            s
            for t, s in self._tokens.items()
            if not s.revoked and (username is None or s.login.username == username) and (token is None or t == token)
        ]
        for session in hits:
            session.revoked = True
        return len(hits)


class RequestLimit:
    """So many requests within a sliding window, per login (gateway fact: 200 in 60 s); None switches it off."""

    def __init__(self, clock: SimClock, requests: int | None, window: float) -> None:
        self.requests = requests
        self.window = window
        self._clock = clock

    def wait(self, login: LoginState) -> float:
        """Count one request; 0.0 when it is allowed, else the seconds until the next one would be."""
        if self.requests is None:
            return 0.0
        now, recent = self._clock.wire(), login.recent
        while recent and recent[0] <= now - self.window:
            recent.popleft()
        if len(recent) >= self.requests:
            return recent[0] + self.window - now
        recent.append(now)
        return 0.0
