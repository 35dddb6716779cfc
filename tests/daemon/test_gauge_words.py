"""What a rule measures reads as a sentence, whatever it measures."""

from __future__ import annotations

import pytest

from daemon.core.rule import Gauge
from daemon.gauge_words import gauge_sentence
from shared.models import RULE_NAMES


@pytest.mark.parametrize(
    ("key", "gauge", "said"),
    [
        ("daily_realized_loss", Gauge("-250.00", "-500.00", 50), "-250.00 of -500.00."),
        ("max_contracts_per_instrument", Gauge("2", "4", 50, "MNQ"), "2 of 4 (MNQ)."),
        ("max_contracts_per_instrument", Gauge("0", "MNQ 4, ES 1", 0), "None is held; allowed: MNQ 4, ES 1."),
        ("auth_loss_guard", Gauge("allowed", "allowed", None), "Trading is allowed."),
        ("auth_loss_guard", Gauge("not allowed", "allowed", None), "Trading is not allowed."),
        ("symbol_blocks", Gauge("none held", "BTC, RTY", None), "None is held; blocked: BTC, RTY."),
        ("symbol_blocks", Gauge("RTY", "BTC, RTY", None), "RTY locked; blocked: BTC, RTY."),
        ("session_block_outside", Gauge("open", "until Thu 16:00", None), "Open until Thu 16:00."),
        ("session_block_outside", Gauge("open", "no holiday near", None), "Open; no holiday near."),
        ("session_block_outside", Gauge("closed", "opens Thu 09:30", None), "Closed; opens Thu 09:30."),
        ("session_block_outside", Gauge("by symbol", "ES, NQ", None), "By symbol: ES, NQ."),
        ("scheduled_flatten", Gauge("not again today", "15:50", None), "Not again today; the time is 15:50."),
        ("scheduled_flatten", Gauge("15:50 New York", "15:50", None), "Next at 15:50 New York."),
        ("trade_management", Gauge("nothing moved", "entry at +10 ticks", None), "Nothing moved; entry at +10 ticks."),
        ("profit_give_back", Gauge("0.00", "watched from a peak of 500.00", 0), "Watched from a peak of 500.00."),
        ("profit_give_back", Gauge("50.00", "100.00", 50, "peak 600.00"), "50.00 of 100.00 (peak 600.00)."),
        ("trailing_drawdown", Gauge("balance not known", "2,000.00", None), "Balance not known; 2,000.00 may be lost."),
        ("no_stop_loss_grace", Gauge("all protected", "10 s", 0), "All protected; 10 s are given for a stop."),
        ("no_stop_loss_grace", Gauge("4 s without a stop", "10 s", 40, "MNQ"), "4 s without a stop of 10 s (MNQ)."),
    ],
)
def test_gauge_reads_as_a_sentence(key: str, gauge: Gauge, said: str) -> None:
    assert key in {name.key for name in RULE_NAMES}
    assert gauge_sentence(key, gauge) == said
