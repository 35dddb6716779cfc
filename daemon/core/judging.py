"""Judging: which rules look at an account when, and what their verdicts become: lockouts, latches, warnings, reads."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.core import failures, limit_warnings
from daemon.core.decisions import Decision, Lock, LockChanged, Lockout, Read, Unlock, Warn
from daemon.core.leftovers import remember_latches
from daemon.core.lockouts import covers, grow, growth_of, joined_causes
from daemon.core.rule import (
    WARNING_LEVELS,
    Flatten,
    LockVerdict,
    Notice,
    ReadOrders,
    Rule,
    RuleState,
    Trigger,
    Verdict,
    View,
    allowed_size,
    mask_of,
)
from daemon.core.rules import build_rules
from daemon.core.state import AccountState, Latch
from shared.config import RulesConfig
from shared.models import MANUAL_RULE_ID, LockoutKind

_TRADES = mask_of([Trigger.TRADES])
_FIRST_LEVEL = WARNING_LEVELS[-1]


def _can_be_judged(account: AccountState, state: RuleState, unread: int) -> bool:
    """Whether all reads that a rule needs have succeeded once, or are given up; if not, it has no time of its own."""
    missing = state.needs & unread
    if missing and not (missing == _TRADES and account.trades_given_up and state.rule.partial):
        state.due = None
        return False
    return True


class Judge:
    """The rules of every account, with what the engine keeps of each. `view` is set anew with each configuration."""

    __slots__ = ("_by_trigger", "_rules", "next_lockout_id", "view")

    def __init__(self, view: View, next_lockout_id: int) -> None:
        self.view = view
        self.next_lockout_id = next_lockout_id
        self._rules: dict[int, list[RuleState]] = {}
        self._by_trigger: dict[int, list[list[RuleState]]] = {}

    def set_rules(self, account: AccountState, config: RulesConfig) -> None:
        """Judge the account by these rules from now on. What failed before is not reported again today."""
        failed = {state.rule.rule_id for state in self._rules.get(account.account_id, ()) if state.failed}
        rules = [
            RuleState(
                rule,
                failed=rule.rule_id in failed,
                needs=mask_of(rule.needs),
                timed=Trigger.TIMER in rule.triggers,
                quoted=Trigger.QUOTES in rule.triggers,
                scaled=type(rule).percent is not Rule.percent,
            )
            for rule in build_rules(config)
        ]
        self._rules[account.account_id] = rules
        self._by_trigger[account.account_id] = [
            [state for state in rules if trigger in state.rule.triggers] for trigger in Trigger
        ]

    def rules(self, account_id: int) -> list[RuleState]:
        """The rules of an account, in the order of their ids."""
        return self._rules[account_id]

    def on(self, account_id: int, trigger: Trigger) -> list[RuleState]:
        """Those rules of an account that want a trigger."""
        return self._by_trigger[account_id][trigger]

    def demanding(self, account_id: int) -> bool:
        """Whether a verdict of any rule stands."""
        for state in self._rules[account_id]:  # `any` costs three times as much  # noqa: SIM110
            if state.verdicts:
                return True
        return False

    def judge(
        self,
        account: AccountState,
        triggers: Sequence[Trigger],
        out: list[Decision],
        contract_id: str | None = None,
    ) -> list[RuleState]:
        """Let the rules that want one of the triggers look at the account; several triggers mean all rules.

        `contract_id`: what has happened is about this contract alone; a rule that failed before looks at all. Returns
        those that did. One whose reads are still missing cannot; it wants neither quotes nor time till then.
        """
        by_trigger = self._by_trigger[account.account_id]
        unread = (
            (not account.positions_read_at) << Trigger.POSITIONS
            | (not account.orders_read_at) << Trigger.ORDERS
            | (not account.trades_read_at) << Trigger.TRADES
        )
        states = by_trigger[triggers[0]] if len(triggers) == 1 else self._rules[account.account_id]
        if unread:
            states = [state for state in states if _can_be_judged(account, state, unread)]
        view = self.view
        view.begin(account, contract_id)
        for state in states:
            rule = state.rule
            view.contract_id = None if state.failed else contract_id
            try:
                state.verdicts = verdicts = rule.judge(account, view)
                for verdict in verdicts:
                    self._take(account, state, verdict, out)
                percent = rule.percent(account, view) if state.scaled else None
                if percent is not None and percent >= _FIRST_LEVEL:
                    limit_warnings.warn(account, state, percent, view, out)
            except Exception as error:  # noqa: BLE001 - law 9: one broken rule stays one
                failures.report(account, state, error, view.now, out)
        return states

    def recall_warnings(self, account: AccountState) -> None:
        """Take the warnings given today from the account's memory, so that none is given twice."""
        limit_warnings.recall(account, self._rules[account.account_id], self.view)

    def forget_day(self, account: AccountState) -> None:
        """A new trading day: warnings and failures are told anew."""
        for state in self._rules[account.account_id]:
            state.warned.clear()
            state.failed = False

    def _take(self, account: AccountState, state: RuleState, verdict: Verdict, out: list[Decision]) -> None:
        rule_id = state.rule.rule_id
        if isinstance(verdict, LockVerdict):
            self.lock(account, rule_id, verdict, out)
        elif isinstance(verdict, Flatten):
            position = account.positions.get(verdict.contract_id)
            latch = account.latches.get(verdict.contract_id)
            if latch is None and position is not None:
                direction = 1 if position.size > 0 else -1
                latch = account.latches[verdict.contract_id] = Latch(rule_id, verdict.reason, direction)
                remember_latches(account)
            if latch is not None and verdict.cancel_orders and not latch.cancel_orders:
                latch.cancel_orders = True  # also when another rule latched it
                remember_latches(account)
        elif isinstance(verdict, ReadOrders):
            out.append(Read(account.account_id))
        elif isinstance(verdict, Notice):
            told = account.memory.setdefault("notices", {})
            if verdict.key not in told:
                told[verdict.key] = self.view.now
                account.unsaved_memory.add("notices")
                out.append(Warn(self.view.now, account.account_id, rule_id, 0, verdict.text, verdict.contract_id))

    # ---- lockouts begin and end

    def lock(self, account: AccountState, rule_id: str, verdict: LockVerdict, out: list[Decision]) -> None:
        """Begin a lockout, unless this breach has locked already or a lockout of the same rule lasts as long.

        One that an admin is about to clear does not last: what happens after his request is not what he cleared.
        """
        now = self.view.now
        key = (rule_id, verdict.symbol, verdict.cause)
        for lockout in account.locks.values():
            if lockout.rule_id != rule_id or lockout.symbol != verdict.symbol or lockout.kind != verdict.kind:
                continue
            lasts = lockout.clear_due_at is None and (
                lockout.expires_at is None
                or (verdict.expires_at is not None and lockout.expires_at >= verdict.expires_at)
            )
            if lasts:
                tighter = bool(lockout.baseline) and verdict.baseline is None
                if tighter:
                    lockout.baseline = {}
                if key not in account.causes:
                    account.causes[key] = now
                    lockout.cause = joined_causes(lockout.cause, verdict.cause)
                    tighter = True
                if tighter:
                    out.append(LockChanged(lockout))
                return
        if key in account.causes:
            return
        account.causes[key] = now
        if verdict.expires_at is not None and verdict.expires_at <= now:
            return
        lockout = Lockout(
            id=self.next_lockout_id,
            account_id=account.account_id,
            rule_id=rule_id,
            kind=verdict.kind,
            symbol=verdict.symbol,
            reason=verdict.reason,
            locked_at=verdict.at if verdict.at is not None else now,
            expires_at=verdict.expires_at,
            cause=verdict.cause,
            baseline=self._baseline(account, verdict),
        )
        self.next_lockout_id += 1
        account.locks[lockout.id] = lockout
        if verdict.order_id is not None:
            growth = growth_of(account, verdict.order_id, now)
            if growth is not None:
                account.growths[lockout.id] = growth
                grow(lockout, growth, account)
        out.append(Lock(lockout))

    def lock_by_hand(self, account: AccountState, verdict: LockVerdict, out: list[Decision]) -> None:
        """Begin a lockout that a person asks for. One of the same kind is prolonged: asking often adds nothing."""
        for lockout in account.locks.values():
            same = lockout.rule_id == MANUAL_RULE_ID and lockout.kind == verdict.kind and lockout.clear_due_at is None
            if same and lockout.expires_at is not None:
                if verdict.expires_at is None or verdict.expires_at > lockout.expires_at:
                    lockout.expires_at, lockout.reason = verdict.expires_at, verdict.reason
                    out.append(LockChanged(lockout))
                return
        self.lock(account, MANUAL_RULE_ID, verdict, out)

    def _baseline(self, account: AccountState, verdict: LockVerdict) -> dict[str, int]:
        """What may stay; never more than another cooldown lets stay, which it would outlast."""
        kept = dict(verdict.baseline or {})
        for contract_id in list(kept):
            for lockout in account.locks.values():
                if covers(lockout, contract_id, self.view.market):
                    kept[contract_id] = allowed_size(lockout, contract_id, kept[contract_id])
        return {contract_id: size for contract_id, size in kept.items() if size}

    def release(self, account: AccountState, kind: LockoutKind, out: list[Decision]) -> None:
        """The condition of the lockouts of a kind has ended."""
        for lockout in [held for held in account.locks.values() if held.kind == kind]:
            self._unlock(account, lockout, "condition", out)

    def expire(self, account: AccountState, out: list[Decision]) -> bool:
        """End the lockouts whose time, or whose clearing by an admin, has come. Returns whether one ended."""
        ended = False
        for lockout in list(account.locks.values()):
            if lockout.expires_at is not None and lockout.expires_at <= self.view.now:
                self._unlock(account, lockout, "time", out)
                ended = True
            elif lockout.clear_due_at is not None and lockout.clear_due_at <= self.view.now:
                self._unlock(account, lockout, lockout.clear_by or "admin", out)
                ended = True
        return ended

    def _unlock(self, account: AccountState, lockout: Lockout, by: str, out: list[Decision]) -> None:
        del account.locks[lockout.id]
        account.growths.pop(lockout.id, None)
        lockout.cleared_at, lockout.cleared_by = self.view.now, by
        out.append(Unlock(lockout))
