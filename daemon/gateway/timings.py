"""Every interval and bound of the adapter, in seconds. Tests shorten them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timings:
    """Defaults are for the live gateway: 200 requests a minute a login, hub pings every 15 s, tokens of 24 h."""

    mutation: float = 5.0
    """Whole bound of one order request, waiting for its turn included."""
    turn: float = 1.0
    """Longest an order request waits for its turn: what it was decided on changes meanwhile."""
    read: float = 8.0
    """Whole bound of one read."""
    connect: float = 3.0
    """Bound of opening a TCP and TLS connection.

    Below `mutation`, so that an unreachable gateway is known as not sent.
    """
    start: float = 20.0
    """`Gateways.start` returns after this at the latest."""

    hub_open: float = 5.0
    """From starting a hub to its handshake."""
    hub_subscribe: float = 5.0
    hub_stop: float = 2.0
    hub_silence: float = 40.0
    """No frame at all for this long: dead. The server pings every 15 s."""
    hub_stable: float = 5.0
    """A hub that was up this long starts its back-off anew."""
    hub_backoff: tuple[float, ...] = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 2.0, 2.0, 2.0, 2.0, 5.0)
    """Wait before the n-th try in a row; the last value repeats. Jitter takes off up to a third."""
    quote_silence: float = 30.0
    """No quote of any subscribed contract for this long: connect anew, the next time after twice as long."""
    market_failover: float = 5.0
    """A market hub down this long hands its quotes to another login."""

    login_unreachable: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0, 10.0)
    login_refused: tuple[float, ...] = (5.0, 10.0, 20.0, 40.0, 60.0)
    relogin_min: float = 5.0
    """Least time between two logins that a 401 asks for."""
    relogin_min_urgent: float = 1.0
    """The same for an order request, or a read that a close waits for."""
    token_margin: float = 4 * 3600.0
    """A token is refreshed when less than this, or a sixth of its life, is left."""
    token_retry: float = 10.0

    poll: float = 15.0
    """Positions, orders and the account list are read this often, as far as the request budget allows."""
    poll_hub_down: float = 5.0
    """The same while nothing is pushed."""
    trades_poll: float = 300.0
    """Trades are read this often while pushes arrive, and with every poll while they do not."""
    balance_apart: float = 30.0
    """Least time between two reads of an account because its balance moved without a push."""
    trades_apart: float = 2.0
    """Least time between two reads of an account's trades after gaps, and of its positions for missing prices."""
    poll_requests_per_minute: int = 90
    """Share of the request budget for polls of positions and orders."""
    settle: float = 2.0
    """Positions and orders are read once more this long after a hub came up: subscriptions are not confirmed."""
    reconcile_backoff: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0)
    warm: float = 40.0
    """How often `warm_connections` are used, so that the closes of a flatten pay for no handshake: less than a minute,
    after which unused ones are closed."""
    warm_connections: int = 6

    sleep: float = 10.0
    """A machine that was away this long has slept."""
    announce: float = 3.0
    """A change found by a poll and not pushed within this time means that the stream is frozen."""
    frozen_backoff: tuple[float, ...] = (0.0, 60.0, 120.0, 300.0, 600.0)
    """Least time since the last rebuild for a frozen stream, by how many there were."""
    alert_repeat: float = 300.0
    """The same alert is given again only after this long."""
    reconcile_at_once: int = 6
    """Accounts of a login that are read anew side by side, three requests each."""
    contract: float = 2.0
    """Longest an event waits for the data of an unknown contract."""
    contract_retry: float = 30.0

    requests_per_minute: tuple[int, int, int, int, int] = (195, 180, 150, 150, 110)
    """Requests within `window` before a close, a read for one, a cancel, a read after a gap, a poll has to wait."""
    reads_per_minute: int = 80
    """Most reads for closes within `window`: closes that cannot fill must not keep orders from being cancelled."""
    account_share: int = 40
    """Order requests, and reads for closes, of one account within `window` after which its closes, too, wait ..."""
    account_ceiling: int = 160
    """... at this many requests of the login: the rest is for the other accounts."""
    window: float = 61.0
    """A second longer than the gateway's: what counts there is when requests arrive."""
    rate_limit_backoff: tuple[float, ...] = (2.0, 4.0, 8.0, 16.0, 30.0)
    """Pause after a 429 without Retry-After."""
    retry_after_max: float = 60.0
    """The gateway counts over 60 s: to wait longer than its window would only leave risk open."""
