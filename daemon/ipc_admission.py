"""Who may stay when the socket's places are taken. Pure: connections are numbers, time is an argument.

There is no telling the tray from a neighbour's program: both are anonymous connections from this machine. So the policy
does not judge who somebody is, but makes holding a place useless against newcomers, and taking it back slow:

- A newcomer always gets in, in the *lobby* (it has not sent a valid request yet). When all `places` are taken, somebody
  gives way: the oldest of the lobby once that holds `lobby` connections, before that a seat. An honest client leaves
  the lobby within milliseconds of connecting; one that merely holds its place is pushed out by those who come later.
  So that a flood of newcomers does not push an admin out in the middle of the handshake, the last `lobby` of them have
  `lobby_seconds` each; a newcomer that finds only such is refused and tries again.
- The first valid request gives a *seat*. Beyond `places - lobby` seats each further one costs a token of a slow bucket,
  or the seat of somebody without a subscription: a neighbour that reconnects as fast as it can does not push
  subscribers out at that speed.
- Seats give way in this order: those without a subscription, longest silent first; then subscribers, the oldest among
  the youngest `young` (at most half) of them. A tray that has been there for long is therefore not reached by
  newcomers, and one that has just come stays as long as a full turn of that region takes.
- A connection that has shown the admin key never gives way to one that has not.

docs/decisions/0031 has the attacks that were played through.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple


class Rank(Enum):
    """What a connection has shown of itself so far."""

    LOBBY = 0
    GUEST = 1
    SUBSCRIBER = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class PlaceLimits:
    """`places`: connections at most; of seats beyond `places - lobby`, `seat_burst` at once and `seats_per_second`."""

    places: int = 32
    lobby: int = 6
    lobby_seconds: float = 0.02
    young: int = 16
    seat_burst: float = 8.0
    seats_per_second: float = 4.0

    def __post_init__(self) -> None:
        if not 0 < self.lobby < self.places or self.young < 1:
            raise ValueError("the lobby must be smaller than the number of places, and both positive")


class Seat(NamedTuple):
    """Whether there is a seat, and who has to leave for it (already forgotten here)."""

    granted: bool
    leaving: int | None


@dataclass(slots=True)
class _Place:
    entered_at: float
    rank: Rank
    seated: int = 0  # rises with each seat given: the order of seats
    last_request: int = 0  # rises with each request of any connection


@dataclass
class Admission:
    """Call `enter` for a new connection, `request` for each valid request, `leave` when it is gone.

    `now` is in seconds of any monotonic clock.
    """

    limits: PlaceLimits = field(default_factory=PlaceLimits)
    _places: dict[int, _Place] = field(default_factory=dict)
    _ticks: int = 0
    _tokens: float | None = None
    _tokens_at: float = 0.0

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, number: int) -> bool:
        return number in self._places

    def rank(self, number: int) -> Rank:
        """The rank of a connection that is there."""
        return self._places[number].rank

    def enter(self, number: int, now: float) -> int | None:
        """Lets a newcomer in; returns who leaves for it (already forgotten here), the newcomer itself if nobody can."""
        leaving = None
        if len(self._places) >= self.limits.places:
            leaving = self._who_gives_way(now)
            if leaving is None:
                return number
            del self._places[leaving]
        self._places[number] = _Place(now, Rank.LOBBY)
        return leaving

    def request(self, number: int, now: float) -> Seat:
        """Notes a valid request, which takes a seat if one is to be had."""
        place = self._places[number]
        place.last_request = self._tick()
        if place.rank is not Rank.LOBBY:
            return Seat(True, None)
        leaving = None
        if self._seats() >= self.limits.places - self.limits.lobby and not self._take_token(now):
            leaving = self._longest_silent_guest()
            if leaving is None:
                return Seat(False, None)
            del self._places[leaving]
        place.rank = Rank.GUEST
        place.seated = self._tick()
        return Seat(True, leaving)

    def subscription(self, number: int, subscribed: bool) -> None:
        """Notes whether a seated connection has subscriptions."""
        place = self._places[number]
        if place.rank in (Rank.GUEST, Rank.SUBSCRIBER):
            place.rank = Rank.SUBSCRIBER if subscribed else Rank.GUEST

    def admin(self, number: int) -> int | None:
        """Gives an administrator's seat; returns the longest silent one (forgotten here) if there are too many."""
        place = self._places[number]
        place.last_request = self._tick()
        leaving = None
        admins = [key for key, other in self._places.items() if other.rank is Rank.ADMIN and key != number]
        if place.rank is not Rank.ADMIN and len(admins) >= self.limits.places - self.limits.lobby:
            leaving = min(admins, key=lambda key: self._places[key].last_request)
            del self._places[leaving]
        place.rank = Rank.ADMIN
        place.seated = place.seated or self._tick()
        return leaving

    def admin_ended(self, number: int, subscribed: bool) -> None:
        """The session is over; the connection keeps its seat as anybody would."""
        self._places[number].rank = Rank.SUBSCRIBER if subscribed else Rank.GUEST

    def leave(self, number: int) -> None:
        """Forgets a connection; one that is not there is no matter."""
        self._places.pop(number, None)

    def _who_gives_way(self, now: float) -> int | None:
        by_rank: dict[Rank, list[int]] = {rank: [] for rank in Rank}
        for key, place in self._places.items():
            by_rank[place.rank].append(key)
        lobby, subscribers = by_rank[Rank.LOBBY], by_rank[Rank.SUBSCRIBER]
        if len(lobby) < self.limits.lobby:
            guest = self._longest_silent_guest()
            if guest is not None:
                return guest
            if subscribers:
                youngest_first = sorted(subscribers, key=lambda key: -self._places[key].seated)
                return youngest_first[: max(1, min(self.limits.young, len(subscribers) // 2))][-1]
        if not lobby:
            return None
        oldest = lobby[0]  # places are kept in the order of arrival
        is_safe = len(lobby) <= self.limits.lobby and now - self._places[oldest].entered_at < self.limits.lobby_seconds
        return None if is_safe else oldest

    def _longest_silent_guest(self) -> int | None:
        guests = [key for key, place in self._places.items() if place.rank is Rank.GUEST]
        return min(guests, key=lambda key: self._places[key].last_request, default=None)

    def _seats(self) -> int:
        return sum(place.rank is not Rank.LOBBY for place in self._places.values())

    def _take_token(self, now: float) -> bool:
        burst = self.limits.seat_burst
        before = burst if self._tokens is None else self._tokens
        self._tokens = min(burst, before + max(0.0, now - self._tokens_at) * self.limits.seats_per_second)
        self._tokens_at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def _tick(self) -> int:
        self._ticks += 1
        return self._ticks
