"""The ten laws over generated streams of events, with restarts, lost and late messages, and an obedient enforcer."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from daemon.core.engine import Engine
from shared.config import RiskConfig
from shared.models import OrderType
from tests.core.desk import ES, MNQ, NQ, RTY
from tests.core.world import World

EVERYTHING: dict[str, Any] = {
    "max_contracts": {"limit": 6},
    "max_contracts_per_instrument": {"limits": {"MNQ": 4, "NQ": 2, "ES": 3, "RTY": 1}},
    "daily_realized_loss": {"limit": -500},
    "daily_unrealized_loss": {"limit": -300},
    "max_unrealized_profit": {"target": 400},
    "trade_frequency_limit": {"limits": {"per_minute": 3, "per_hour": 8}},
    "cooldown_after_loss": {"loss_thresholds": [{"loss_amount": -100, "cooldown_duration": 300}]},
    "no_stop_loss_grace": {"grace_period_seconds": 10},
    "auth_loss_guard": {},
    "symbol_blocks": {"blocked_symbols": ["RTY"]},
    "trade_management": {
        "auto_breakeven": {"profit_trigger_ticks": 10},
        "trailing_stop": {"activation_ticks": 20, "trail_distance_ticks": 10},
    },
    "daily_realized_profit": {"target": 800},
    "daily_total_loss": {"limit": -700},
    "profit_give_back": {"amount": 300},
    "weekly_loss": {"limit": -900},
    "consecutive_losses": {"limit": 3, "cooldown_duration": 600},
    "trailing_drawdown": {"amount": 1000, "mode": "intraday"},
    "losing_position_adds": {"max_adds": 1},
    "scheduled_flatten": {"time": "15:55"},
}
HOURS = {"session_block_outside": {"global_session": {"start": "09:30", "end": "16:00"}, "respect_holidays": False}}
KEEPING: dict[str, Any] = {
    "session_block_outside": {**HOURS["session_block_outside"], "close_positions_at_session_end": False}
}
LOOSE: dict[str, Any] = {
    "session_block_outside": {
        **HOURS["session_block_outside"],
        "close_positions_at_session_end": False,
        "lockout_outside_session": False,
    }
}
CONFIGS = [
    RiskConfig.model_validate({"rules": chosen})
    for chosen in (
        EVERYTHING,
        EVERYTHING | HOURS,
        {"max_contracts": {"limit": 3, "close_all": True}} | KEEPING,
        {"trade_frequency_limit": {"limits": {"per_minute": 2}}} | LOOSE,
        {"daily_realized_loss": {"limit": -100}},
    )
]

accounts = st.sampled_from([101, 102])
contracts = st.sampled_from([MNQ, MNQ, MNQ, MNQ, ES, ES, NQ, NQ, RTY])
ticks = st.sampled_from([-400, -80, -26, -12, -3, 1, 2, 3, 12, 26, 41, 80, 410])
sizes = st.sampled_from([-3, -2, -1, 1, 1, 2, 3])
orders = st.lists(st.integers(0, 9), max_size=8)


class Trading(RuleBasedStateMachine):
    """A trader, a broker with faults, a daemon that is killed, and an enforcer that obeys."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(CONFIGS[0])

    @initialize(number=st.integers(0, len(CONFIGS) - 1))
    def begin(self, number: int) -> None:
        self.world = World(CONFIGS[number])

    @rule(account=accounts, contract=contracts, size=sizes)
    def trades(self, account: int, contract: str, size: int) -> None:
        self.world.fill(account, contract, size)
        self.world.deliver()

    @rule(account=accounts, contract=contracts, size=sizes, order=orders, twice=st.booleans())
    def trades_and_messages_are_mixed_up(
        self, account: int, contract: str, size: int, order: list[int], twice: bool
    ) -> None:
        self.world.fill(account, contract, size)
        self.world.deliver(order, twice=twice)

    @rule(
        account=accounts,
        contract=contracts,
        size=sizes,
        kind=st.sampled_from([OrderType.LIMIT, OrderType.STOP, OrderType.MARKET]),
        ticks=st.integers(-60, 60),
        told=st.booleans(),
    )
    def places(self, account: int, contract: str, size: int, kind: OrderType, ticks: int, told: bool) -> None:
        self.world.place(account, contract, size, kind, ticks, told=told)
        self.world.deliver()

    @rule(contract=contracts, ticks=ticks)
    def price_moves(self, contract: str, ticks: int) -> None:
        self.world.move(contract, ticks)

    @rule(account=accounts, contract=contracts, size=sizes, ticks=ticks)
    def trades_there_and_back(self, account: int, contract: str, size: int, ticks: int) -> None:
        self.world.fill(account, contract, size)
        self.world.deliver()
        self.world.move(contract, ticks)
        self.world.fill(account, contract, -size)
        self.world.deliver()

    @rule(account=accounts, contract=contracts, long=st.booleans(), ticks=st.lists(ticks, max_size=5))
    def position_with_a_stop_moves(self, account: int, contract: str, long: bool, ticks: list[int]) -> None:
        self.world.fill(account, contract, 1 if long else -1)
        self.world.place(account, contract, -1 if long else 1, OrderType.STOP, -40 if long else 40)
        self.world.deliver()
        for step in ticks:
            self.world.move(contract, step)
            self.world.wait(1)

    @rule(account=accounts, place=st.integers(0, 20))
    def trade_is_voided(self, account: int, place: int) -> None:
        self.world.void(account, place)
        self.world.deliver()

    @rule(account=accounts, allowed=st.booleans())
    def gateway_allows(self, account: int, allowed: bool) -> None:
        self.world.allow(account, allowed)

    @rule(account=accounts)
    def everything_is_read(self, account: int) -> None:
        self.world.reconcile(account)

    @rule(account=accounts)
    def a_read_is_late(self, account: int) -> None:
        self.world.read_late(account)

    @precondition(lambda self: self.world.late)
    @rule()
    def late_reads_arrive(self) -> None:
        self.world.hand_late_over()

    @rule(seconds=st.sampled_from([1, 1, 5, 11, 61, 301, 3600, 20_000, 86_400, 400_000]))
    def time_passes(self, seconds: int) -> None:
        self.world.wait(seconds)

    @rule(account=accounts, minutes=st.sampled_from([1, 60]), keep=st.booleans())
    def trader_locks(self, account: int, minutes: int, keep: bool) -> None:
        self.world.lock(account, minutes, keep=keep)

    @rule(place=st.integers(0, 5), delay=st.sampled_from([0, 900]))
    def admin_clears(self, place: int, delay: int) -> None:
        self.world.clear(place, delay)

    @rule(number=st.integers(0, len(CONFIGS) - 1))
    def configuration_changes(self, number: int) -> None:
        self.world.configure(CONFIGS[number])

    @rule(away=st.sampled_from([0, 3, 120, 90_000]))
    def daemon_is_killed(self, away: int) -> None:
        active = {key for key, lock in self.world.disk.locks.items() if lock.cleared_at is None}
        self.world.restart(away=away)
        for key in active:
            lock = self.world.disk.locks[key]
            assert lock.cleared_at is None or lock.cleared_by is not None

    @rule()
    def daemon_could_be_killed(self) -> None:
        self.world.check_restart()

    @rule()
    def user_hub_is_down(self) -> None:
        self.world.disconnect()

    @rule(account=accounts)
    def moves_are_refused(self, account: int) -> None:
        self.world.refuse_moves(account)

    @rule(account=accounts)
    def obligations_are_met(self, account: int) -> None:
        self.world.enforce(account)

    @rule()
    def all_obligations_are_met(self) -> None:
        self.world.enforce_all()
        self.world.check_flat()

    @invariant()
    def strictest_wins(self) -> None:
        """Law 6: whatever an active lockout forbids is asked to go, however many others there are."""
        for account in self.world.engine.accounts.values():
            for lockout in account.locks.values():
                for contract, position in account.positions.items():
                    covered = lockout.symbol is None or lockout.symbol in self.world.engine.market.names(contract)
                    allowed = lockout.baseline.get(contract, 0)
                    if covered and (allowed * position.size <= 0 or abs(position.size) > abs(allowed)):
                        action = account.obligations[contract]
                        assert action.target <= (abs(allowed) if allowed * position.size > 0 else 0)

    def teardown(self) -> None:
        """Law 1 at the end of every stream, and law 8: the same events give the same decisions."""
        if not self.world.sound:
            return  # it has failed already
        self.world.enforce_all()
        self.world.check_flat()
        if not self.world.restarts:
            engine = Engine(self.world.first_config, self.world.calendar)
            again = [repr(engine.handle(event)) for event, _ in self.world.log]
            assert again == [text for _, text in self.world.log]


TestTrading = Trading.TestCase
TestTrading.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
