"""What a rule measures, as a sentence: the words that `get_rules` shows beside the figures."""

from __future__ import annotations

from daemon.core.rule import Gauge


def gauge_sentence(key: str, gauge: Gauge) -> str:
    """The present value of the rule `key` (as in risk_config.yaml) against its limit, in one sentence."""
    value, limit = gauge.value, gauge.limit
    about = f" ({gauge.worst})" if gauge.worst else ""
    text = f"{value} of {limit}{about}"
    match key:
        case "auth_loss_guard":
            text = f"trading is {value}"
        case "symbol_blocks":
            text = f"none is held; blocked: {limit}" if value == "none held" else f"{value} locked; blocked: {limit}"
        case "session_block_outside":
            text = {"by symbol": f"by symbol: {limit}", "open": f"open{_joined(limit)}"}.get(value, f"{value}; {limit}")
        case "scheduled_flatten":
            text = f"{value}; the time is {limit}" if value == "not again today" else f"next at {value}"
        case "trade_management":
            text = f"{value}; {limit}"
        case "profit_give_back" if not gauge.worst:
            text = limit
        case "trailing_drawdown" if gauge.percent is None:
            text = f"{value}; {limit} may be lost"
        case "no_stop_loss_grace" if not gauge.worst:
            text = f"{value}; {limit} are given for a stop"
        case "max_contracts_per_instrument" if not gauge.worst:
            text = f"none is held; allowed: {limit}"
    return f"{text[:1].upper()}{text[1:]}."


def _joined(limit: str) -> str:
    return f" {limit}" if limit.startswith("until") else f"; {limit}"
