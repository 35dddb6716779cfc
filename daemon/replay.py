"""A recorded day, run again: what the rules decide, event by event, and what another configuration would have decided.

The engine is the daemon's own, begun as the daemon begins it; no clock, no gateway. The same journal and configuration
give the same decisions, byte for byte.

With another configuration the trader's and the broker's events stay as they were recorded: a position that the other
configuration would have closed earlier lives on in them. So what it decides first is certain, what comes after a
difference is an estimate; `LIMITS` says so to people.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Final

from daemon.core.decisions import Act, Action, Decision, Lock, Unlock, Warn
from daemon.core.engine import Engine
from daemon.core.events import ClearRequested, ConfigChanged, Event
from daemon.core.local_time import zone
from daemon.core.units import from_micros, micros_to_money
from daemon.figures import unrealized_total
from daemon.journal import ConfigText, Entry, Gap, JournalError, StartState
from daemon.snapshot import NO_RESET_BEFORE, engine_from, state_of
from shared.config import HolidayCalendar, RiskConfig
from shared.models import ActionKind

LIMITS: Final = (
    "The events are as they were recorded: a position that the other configuration would have closed earlier lives on"
    " in them, and what the trader would have done instead cannot be known. What comes after the first difference is an"
    " estimate."
)


@dataclass(slots=True, frozen=True)
class Deed:
    """One decision. `realized` and `unrealized` (None: not known) are the account's at that moment, micro-dollars."""

    at: int
    account_id: int
    rule_id: str
    action: str
    subject: str
    reason: str
    realized: int
    unrealized: int | None
    symbol: str = ""

    @property
    def key(self) -> tuple[int, str, str, str]:
        """What makes two decisions of different runs the same one, but for their time and size."""
        return self.account_id, self.rule_id, self.action, self.symbol


class Replay:
    """Runs a journal's entries through an engine.

    Args:
        other: the configuration to use instead of the recorded one; then recorded changes of the configuration and
            clears of lockouts (which name lockouts of the recorded run) are left out.
        warnings: also give warnings.
    """

    def __init__(self, other: tuple[RiskConfig, HolidayCalendar] | None = None, *, warnings: bool = False) -> None:
        self._other = other
        self._warnings = warnings
        self._engine: Engine | None = None
        self._config: tuple[RiskConfig, HolidayCalendar] | None = None
        self.config: RiskConfig | None = other[0] if other is not None else None
        """By which the last event was judged."""
        self.events = 0
        self.lost = 0
        self.gaps = 0
        self.starts = 0
        self.left_out = 0

    def run(self, entries: Iterable[Entry]) -> Iterator[Deed]:
        """The decisions of one file's entries, in order. Raises JournalError if they begin without a start."""
        kinds = (Act, Lock, Unlock, Warn) if self._warnings else (Act, Lock, Unlock)
        for entry in entries:
            if isinstance(entry, ConfigText):
                self._config = entry.parsed()
            elif isinstance(entry, StartState):
                self._start(entry)
            elif isinstance(entry, Gap):
                self.gaps += 1
                self.lost += entry.lost
            else:
                self.events += 1
                for decision in self._handle(entry):
                    if isinstance(decision, kinds):
                        yield self._deed(decision)

    def _start(self, start: StartState) -> None:
        if self._config is None:
            raise JournalError("The journal is damaged: it begins without a configuration.")
        self.starts += 1
        config, calendar = self._other or self._config
        self.config = config
        saved = start.state
        no_reset_before = 0
        if self._other is None:
            kept = saved.daemon.get(NO_RESET_BEFORE)
            no_reset_before = kept if isinstance(kept, int) else 0
        elif self._engine is not None:
            # A restart of the daemon: the lockouts and memories are those of this run, not of the recorded one.
            saved = replace(state_of(self._engine), actions=[])
        else:
            saved = replace(saved, actions=[])
        self._engine = engine_from(saved, config, calendar, now=start.at, no_reset_before=no_reset_before)

    def _handle(self, event: Event) -> list[Decision]:
        if self._engine is None:
            raise JournalError("The journal is damaged: it begins without a start.")
        if self._other is not None and isinstance(event, ConfigChanged | ClearRequested):
            self.left_out += 1
            return []
        if isinstance(event, ConfigChanged):
            self.config = event.config
        return self._engine.handle(event)

    def _deed(self, decision: Act | Lock | Unlock | Warn) -> Deed:
        engine = self._engine
        assert engine is not None
        if isinstance(decision, Act):
            action = decision.action
            account_id, rule_id, kind, reason = action.account_id, action.rule_id, str(action.kind), action.reason
            symbol, subject = engine.market.symbol(action.contract_id), _subject(engine, action)
        elif isinstance(decision, Warn):
            account_id, rule_id, kind, reason = decision.account_id, decision.rule_id, "warn", decision.text
            symbol, subject = "", f"{decision.level} %" if decision.level else ""
        else:
            lockout = decision.lockout
            account_id, rule_id, symbol = lockout.account_id, lockout.rule_id, lockout.symbol or ""
            subject = f"{lockout.kind} {symbol}".rstrip()
            kind, reason = "lock", lockout.reason
            if isinstance(decision, Unlock):
                kind, reason = "unlock", f"The lockout ended ({lockout.cleared_by})."
        account = engine.account(account_id)
        return Deed(
            at=engine.now,
            account_id=account_id,
            rule_id=rule_id,
            action=kind,
            subject=subject,
            reason=reason,
            realized=engine.view.realized(account),
            unrealized=unrealized_total(engine, account),
            symbol=symbol,
        )


def _subject(engine: Engine, action: Action) -> str:
    symbol = engine.market.symbol(action.contract_id)
    if action.kind == ActionKind.CLOSE_POSITION:
        return f"{action.size} {symbol}"
    if action.kind == ActionKind.REDUCE_POSITION:
        return f"{symbol} by {action.size} to {action.target}"
    return f"order {action.order_id} in {symbol}"


# ---- for people


def _money(micros: int | None) -> str:
    return "?" if micros is None else f"{micros_to_money(micros):.2f}"


def _pnl(deed: Deed) -> str:
    return f"{_money(deed.realized)} realized, {_money(deed.unrealized)} open"


def _time(at: int, timezone: str) -> str:
    return f"{from_micros(at).astimezone(zone(timezone)):%Y-%m-%d %H:%M:%S.%f}"[:-3]


def listing(deeds: Iterable[Deed], timezone: str) -> Iterator[str]:
    """One line a decision: local time, account, rule, action, P&L at that moment, reason."""
    for deed in deeds:
        yield (
            f"{_time(deed.at, timezone)}  {deed.account_id}  {deed.rule_id or '-':8}  {deed.action:15}"
            f"  {deed.subject:24}  {_pnl(deed):32}  {deed.reason}"
        ).rstrip()


@dataclass(slots=True, frozen=True)
class Pair:
    """The same decision in both runs; None where a run did not come to it."""

    recorded: Deed | None
    other: Deed | None

    @property
    def first(self) -> Deed:
        """The earlier one."""
        found = [deed for deed in (self.recorded, self.other) if deed is not None]
        return min(found, key=lambda deed: deed.at)


def side_by_side(recorded: Iterable[Deed], other: Iterable[Deed]) -> list[Pair]:
    """Decisions of two runs in order of time, paired by account, rule, action and symbol: first with first."""
    runs: list[dict[tuple[int, str, str, str], list[Deed]]] = [{}, {}]
    for run, deeds in zip(runs, (recorded, other), strict=True):
        for deed in deeds:
            run.setdefault(deed.key, []).append(deed)
    pairs = [
        Pair(left, right)
        for key in dict.fromkeys([*runs[0], *runs[1]])
        for left, right in zip_longest(runs[0].get(key, []), runs[1].get(key, []))
    ]
    return sorted(pairs, key=lambda pair: pair.first.at)


def comparison(pairs: Iterable[Pair], timezone: str) -> Iterator[str]:
    """One line a decision: rule and action, then time and P&L in the recorded run and in the other one."""
    yield (
        f"{'Account':>8}  {'Rule':8}  {'Action':15}  {'What':24}  {'Recorded configuration':60}  Other configuration"
    )
    for pair in pairs:
        deed = pair.first
        left, right = (
            "-" if side is None else f"{_time(side.at, timezone)}  {_pnl(side)}" for side in (pair.recorded, pair.other)
        )
        yield f"{deed.account_id:>8}  {deed.rule_id or '-':8}  {deed.action:15}  {deed.subject:24}  {left:60}  {right}"


def _counted(number: int, one: str) -> str:
    return f"{number} {one}{'' if number == 1 else 's'}"


def summary(replay: Replay) -> str:
    """What was run, in one line."""
    words = f"{_counted(replay.events, 'event')}, {_counted(replay.starts, 'start')} of the daemon or of a day"
    if replay.gaps:
        words += f"; {_counted(replay.gaps, 'gap')}: at least {_counted(replay.lost, 'event')} not recorded"
    if replay.left_out:
        words += f"; {_counted(replay.left_out, 'recorded change')} of the configuration or of lockouts left out"
    return words + "."
