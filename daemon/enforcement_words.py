"""Sentences for people about what the enforcer cannot get done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.enforcement_lane import Verdict
from shared.models import ActionKind

if TYPE_CHECKING:
    from daemon.broker import Answer
    from daemon.core.decisions import Action


def said(answer: Answer) -> str:
    """What the gateway said."""
    return f"code {answer.code}: {answer.message}" if answer.message else f"code {answer.code}"


def complaint(action: Action, verdict: Verdict, answer: Answer) -> str:
    """One sentence on an obligation that cannot be met (yet)."""
    match action.kind:
        case ActionKind.CANCEL_ORDER:
            what = f"cancel order {action.order_id}"
        case ActionKind.MODIFY_ORDER:
            what = f"move the stop of order {action.order_id}"
        case ActionKind.REDUCE_POSITION:
            what = f"reduce {action.contract_id} to {action.target}"
        case _:
            what = f"close {action.contract_id}"
    match verdict:
        case Verdict.REFUSED | Verdict.BARRED:
            problem = f"the broker refused to {what} ({said(answer)})"
        case Verdict.NOT_SENT:
            problem = f"the request to {what} does not reach the broker ({answer.message or 'no connection'})"
        case Verdict.UNCERTAIN:
            problem = f"the broker does not answer the request to {what} ({answer.message or 'no answer'})"
        case _:
            problem = f"the requests to {what} show no effect yet"
    return f"Account {action.account_id}: {problem}; it is tried until it is done."
