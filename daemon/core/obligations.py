"""What must be sent, as a function of lockouts, latches, the rules' verdicts and what is held: recomputed, never
patched.

Each obligation is one entry of `AccountState.obligations`: keyed by contract id (a position must come down to a size)
or by order id (an order must go, or its stop be moved). The strictest demand wins. An obligation ends, confirmed, when
the gateway's events or reads show it done, or superseded, when nothing demands it any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from daemon.core.decisions import Act, Action, Decision, Settle
from daemon.core.events import is_market_order, opens_or_increases, signed
from daemon.core.lockouts import covers
from daemon.core.rule import CancelOrder, LimitTotal, MoveStop, Reduce, RuleState, allowed_size
from daemon.core.state import AccountState, Market
from shared.models import ActionKind, ActionResult


@dataclass(slots=True)
class Demand:
    """What one key must come to. `keep`: contracts that may stay; `stop_price`: of a stop to be moved.

    `latched`: it must be known by this rule, whatever else demands it too.
    """

    kind: ActionKind
    rule_id: str
    reason: str
    contract_id: str
    keep: int = 0
    stop_price: int | None = None
    latched: bool = False


def demands(account: AccountState, market: Market, rules: Iterable[RuleState], now: int) -> dict[str | int, Demand]:
    """Everything that must be done for an account now."""
    found: dict[str | int, Demand] = {}
    closing = closing_now(account) if account.locks else None
    # Before the lockouts: a latch outlives them, and must be the one that is named, also to a later run (`leftovers`).
    for contract_id, latch in account.latches.items():
        _hold_down(found, account, contract_id, 0, latch.rule_id, latch.reason)
        if contract_id in found:
            found[contract_id].latched = True
    for order_id, latch in account.order_latches.items():
        order = account.orders.get(order_id)
        if order is not None:
            found[order_id] = Demand(
                ActionKind.CANCEL_ORDER, latch.rule_id, latch.reason, order.contract_id, latched=True
            )
    for lockout in account.locks.values():
        for position in account.positions.values():
            if covers(lockout, position.contract_id, market):
                keep = abs(allowed_size(lockout, position.contract_id, position.size))
                _hold_down(found, account, position.contract_id, keep, lockout.rule_id, lockout.reason)
        for order in account.orders.values():
            if order.order_id in found or not covers(lockout, order.contract_id, market):
                continue
            if closing is not None and order.order_id in closing:
                continue
            held = account.size(order.contract_id) + account.unseen_fills(order.contract_id, now)
            if opens_or_increases(order, allowed_size(lockout, order.contract_id, held)):
                found[order.order_id] = Demand(
                    ActionKind.CANCEL_ORDER, lockout.rule_id, lockout.reason, order.contract_id
                )
    totals: list[tuple[str, LimitTotal]] = []
    for state in rules:
        for verdict in state.verdicts:
            if isinstance(verdict, Reduce):
                _hold_down(found, account, verdict.contract_id, verdict.keep, state.rule.rule_id, verdict.reason)
            elif isinstance(verdict, LimitTotal):
                totals.append((state.rule.rule_id, verdict))
            elif isinstance(verdict, CancelOrder):
                closing = closing_now(account) if closing is None else closing
                known = found.get(verdict.order_id)
                if known is not None and known.latched:
                    continue
                if verdict.order_id in account.orders and verdict.order_id not in closing:
                    found[verdict.order_id] = Demand(
                        ActionKind.CANCEL_ORDER, state.rule.rule_id, verdict.reason, verdict.contract_id
                    )
            elif isinstance(verdict, MoveStop) and verdict.order_id in account.orders:
                found.setdefault(
                    verdict.order_id,
                    Demand(
                        ActionKind.MODIFY_ORDER,
                        state.rule.rule_id,
                        verdict.reason,
                        verdict.contract_id,
                        stop_price=verdict.stop_price,
                    ),
                )
    for rule_id, total in totals:
        _limit_total(found, account, rule_id, total)
    return found


def reconcile(
    account: AccountState, wanted: dict[str | int, Demand], now: int, new_id: Callable[[], int], out: list[Decision]
) -> None:
    """Begin and end obligations so that they are just what is wanted."""
    for key, action in list(account.obligations.items()):
        demand = wanted.get(key)
        if demand is not None and _same(action, demand) and not _turned_round(account, action):
            continue
        del account.obligations[key]
        done = is_done(account, action)
        out.append(Settle(action, ActionResult.CONFIRMED if done else ActionResult.SUPERSEDED, now))
    for key, demand in wanted.items():
        if key in account.obligations:
            continue
        held = account.size(demand.contract_id)
        order_id = key if isinstance(key, int) else None
        action = Action(
            id=new_id(),
            account_id=account.account_id,
            kind=demand.kind,
            rule_id=demand.rule_id,
            contract_id=demand.contract_id,
            reason=demand.reason,
            decided_at=now,
            target=demand.keep,
            size=abs(held) - demand.keep if order_id is None else account.orders[order_id].remaining,
            held=held,
            order_id=order_id,
            stop_price=demand.stop_price,
        )
        account.obligations[key] = action
        out.append(Act(action))


def closing_now(account: AccountState) -> frozenset[int]:
    """Market orders that take a position down and cannot turn it round, such as our own closes: they may go on."""
    left = {contract_id: position.size for contract_id, position in account.positions.items()}
    found = set()
    for order_id in sorted(account.orders):
        order = account.orders[order_id]
        size = left.get(order.contract_id, 0)
        if is_market_order(order) and not opens_or_increases(order, size):
            found.add(order_id)
            left[order.contract_id] = size + signed(order.side, order.remaining)
    return frozenset(found)


def _hold_down(  # noqa: PLR0917
    found: dict[str | int, Demand], account: AccountState, contract_id: str, keep: int, rule_id: str, reason: str
) -> None:
    position = account.positions.get(contract_id)
    if position is None or abs(position.size) <= keep:
        return
    known = found.get(contract_id)
    if known is None or known.keep > keep:
        kind = ActionKind.REDUCE_POSITION if keep else ActionKind.CLOSE_POSITION
        found[contract_id] = Demand(kind, rule_id, reason, contract_id, keep)


def _limit_total(found: dict[str | int, Demand], account: AccountState, rule_id: str, total: LimitTotal) -> None:
    left: dict[str, int] = {}
    for position in account.positions.values():
        demand = found.get(position.contract_id)
        keep = abs(position.size) if demand is None else min(demand.keep, abs(position.size))
        left[position.contract_id] = keep if position.size > 0 else -keep
    direction, count = counted(left.values(), total.count_type)
    excess = count - total.limit
    newest_first = sorted(account.positions.values(), key=lambda position: position.increase_rank, reverse=True)
    for position in newest_first:
        size = left[position.contract_id]
        if excess <= 0:
            return
        if size == 0 or direction * size < 0:
            continue
        taken = min(excess, abs(size))
        excess -= taken
        _hold_down(found, account, position.contract_id, abs(size) - taken, rule_id, total.reason)


def counted(sizes: Iterable[int], count_type: str) -> tuple[int, int]:
    """Which direction is counted (1 long, -1 short, 0 both) and how many contracts that makes."""
    if count_type == "gross":
        return 0, sum(abs(size) for size in sizes)
    if count_type == "long":
        return 1, sum(size for size in sizes if size > 0)
    if count_type == "short":
        return -1, sum(-size for size in sizes if size < 0)
    net = sum(sizes)
    return (1 if net > 0 else -1), abs(net)


def _same(action: Action, demand: Demand) -> bool:
    if demand.latched and action.rule_id != demand.rule_id:
        return False
    return action.kind == demand.kind and action.target == demand.keep and action.stop_price == demand.stop_price


def _turned_round(account: AccountState, action: Action) -> bool:
    """Whether another position has come in place of the one that was to come down: it is an obligation of its own."""
    return action.order_id is None and account.size(action.contract_id) * action.held < 0


def is_done(account: AccountState, action: Action) -> bool:
    """Whether the account's state shows what an action was to bring about."""
    if action.order_id is not None:
        order = account.orders.get(action.order_id)
        if action.kind == ActionKind.MODIFY_ORDER:
            return order is not None and order.stop_price == action.stop_price
        return order is None
    size = account.size(action.contract_id)
    return size * action.held <= 0 or abs(size) <= action.target
