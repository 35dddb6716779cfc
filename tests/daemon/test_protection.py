"""The configuration in force over time: waiting, restarting, broken and deleted files, taking back."""

import datetime as dt
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.config_errors import ConfigErrors
from daemon.config_loader import load_accounts, load_holidays, load_risk_config, write_templates
from daemon.config_state_store import FileStateStore, StateUnreadable, seal, unseal
from daemon.config_writing import patch_text
from daemon.protection import (
    SHORTEST_DAY_US,
    CancelRefused,
    ConfigState,
    Configuration,
    FileName,
    LoadedFiles,
    Report,
    UnknownChange,
    load_files,
    open_configuration,
    protects,
)
from shared.config import AccountsConfig, HolidayCalendar, LoginConfig, ResetConfig, RiskConfig
from shared.config_changes import diff
from shared.paths import Home
from tests.shared.config_examples import DOCUMENTED, accounts_configs, calendars, risk_configs

HOUR = 3600 * 1_000_000


def at(text: str) -> int:
    """Microseconds of a New York wall-clock time on 2026-11-23 (a Monday), or with a day before it: "24 09:00"."""
    day, _, clock = text.rpartition(" ")
    hour, minute = clock.split(":")
    moment = dt.datetime(2026, 11, int(day or 23), int(hour), int(minute), tzinfo=ZoneInfo("America/New_York"))
    return int(moment.timestamp()) * 1_000_000


def next_reset(reset: ResetConfig, after: int) -> int:
    zone = ZoneInfo(reset.timezone)
    local = dt.datetime.fromtimestamp(after / 1e6, zone)
    for offset in range(3):
        day = local.date() + dt.timedelta(days=offset)
        moment = int(dt.datetime.combine(day, reset.time, zone).timestamp()) * 1_000_000
        if moment > after:
            return moment
    raise AssertionError("a day without a reset")


class MemoryStore:
    """Keeps the state in memory; ``full`` makes storing fail as a full disk does."""

    def __init__(self) -> None:
        self.text: str | None = None
        self.full = False

    def load(self) -> str | None:
        if self.text == "damaged":
            raise StateUnreadable("damaged")
        return self.text

    def save(self, text: str) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self.text = text


ACCOUNTS = load_accounts("logins: [{username: trader1}]")
HOLIDAYS = load_holidays('dates: {2026-12-24: {early_close: "12:00"}}')


def risk(*edits: tuple[str, str]) -> RiskConfig:
    text = DOCUMENTED
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    return load_risk_config(text)


BASE = risk()
LOOSER = risk(("limit: -500", "limit: -600"))
TIGHTER = risk(("limit: -500", "limit: -400"))
BOTH = risk(("limit: -500", "limit: -600"), ("limit: -300", "limit: -200"))


def files(
    risk_config: RiskConfig | ConfigErrors = BASE,
    accounts: AccountsConfig | ConfigErrors = ACCOUNTS,
    holidays: HolidayCalendar | ConfigErrors = HOLIDAYS,
) -> LoadedFiles:
    return {"risk_config.yaml": risk_config, "accounts.yaml": accounts, "holidays.yaml": holidays}


def broken(file: str) -> ConfigErrors:
    try:
        load_risk_config("rules: [", file)
    except ConfigErrors as errors:
        return errors
    raise AssertionError("that should not load")


def started(store: MemoryStore | None = None, loaded: LoadedFiles | None = None, when: str = "09:00") -> ConfigState:
    return ConfigState.start(store or MemoryStore(), loaded or files(), at(when), next_reset)[0]


def limit(state: ConfigState) -> int:
    rule = state.active.risk.rules.daily_realized_loss
    assert rule is not None
    return int(rule.limit)


# --- changing while running ----------------------------------------------------------------------------------------


def test_propose_when_tightening_applies_at_once() -> None:
    state = started()
    report = state.propose([TIGHTER], at("10:00"))
    assert limit(state) == -400
    assert [found.change.path for found in report.applied] == ["rules.daily_realized_loss.limit"]
    assert state.pending == []
    assert state.effective_at is None


def test_propose_when_loosening_waits_for_the_next_reset() -> None:
    state = started()
    report = state.propose([LOOSER], at("10:00"))
    assert limit(state) == -500
    assert report.applied == []
    assert [(waiting.change.path, waiting.effective_at) for waiting in report.pending] == [
        ("rules.daily_realized_loss.limit", at("17:00"))
    ]
    assert state.advance(at("17:00") - 1) == []
    assert limit(state) == -500
    assert [found.change.effect for found in state.advance(at("17:00"))] == ["loosens"]
    assert limit(state) == -600
    assert state.pending == []
    assert state.advance(at("24 17:00")) == []


def test_propose_when_mixed_splits() -> None:
    state = started()
    state.propose([BOTH], at("10:00"))
    assert limit(state) == -500
    assert state.active.risk.rules.daily_unrealized_loss is not None
    assert state.active.risk.rules.daily_unrealized_loss.limit == -200
    state.advance(at("17:00"))
    assert state.active.risk == BOTH


def test_propose_when_policy_is_immediately_applies_everything() -> None:
    state = started(loaded=files(risk(("loosen: next_reset", "loosen: immediately"))))
    state.propose([risk(("loosen: next_reset", "loosen: immediately"), ("limit: -500", "limit: -600"))], at("10:00"))
    assert limit(state) == -600


@pytest.mark.parametrize("nobody", ["logins: []", "logins: [{username: a, enabled: false}]"])
def test_propose_when_nothing_is_protected_yet_applies_everything(nobody: str) -> None:
    state = started(loaded=files(accounts=load_accounts(nobody)))
    state.propose([load_accounts("gateway: {api_url: http://127.0.0.1:1/api}\nlogins: [{username: a}]")], at("10:00"))
    assert state.pending == []
    assert state.active.accounts.gateway.api_url == "http://127.0.0.1:1/api"
    state.propose([load_accounts("gateway: {api_url: http://127.0.0.1:2/api}\nlogins: [{username: a}]")], at("10:01"))
    assert state.active.accounts.gateway.api_url == "http://127.0.0.1:1/api"
    assert len(state.pending) == 1


def test_propose_when_the_last_login_watches_no_account_leaves_nothing_to_a_restart() -> None:
    store = MemoryStore()
    nobody = AccountsConfig(logins=(LoginConfig(username="a", accounts=()),))
    state = started(store, files(accounts=nobody))
    state.propose([LOOSER], at("10:00"))
    state.propose([AccountsConfig(logins=())], at("10:01"))
    assert limit(state) == -600
    again, _ = ConfigState.start(store, files(LOOSER, AccountsConfig(logins=())), at("10:02"), next_reset)
    assert again.active == state.active


def test_propose_when_policy_itself_loosens_waits_before_it_counts() -> None:
    state = started()
    state.propose([risk(("loosen: next_reset", "loosen: immediately"), ("limit: -500", "limit: -600"))], at("10:00"))
    assert limit(state) == -500
    assert state.active.risk.policy.loosen == "next_reset"
    state.propose([risk(("loosen: next_reset", "loosen: immediately"), ("limit: -500", "limit: -700"))], at("10:01"))
    assert limit(state) == -500
    state.advance(at("17:00"))
    assert limit(state) == -700


def test_propose_when_wish_is_taken_back_leaves_nothing_pending() -> None:
    state = started()
    state.propose([LOOSER], at("10:00"))
    state.propose([BASE], at("10:01"))
    assert state.pending == []
    assert state.advance(at("17:00")) == []
    assert limit(state) == -500


def test_propose_when_a_later_wish_comes_keeps_the_first_date() -> None:
    state = started()
    state.propose([LOOSER], at("10:00"))
    state.propose([risk(("limit: -500", "limit: -700"))], at("16:59"))
    assert [waiting.effective_at for waiting in state.pending] == [at("17:00")]


def test_propose_when_a_loosening_comes_just_after_the_reset_waits_for_the_next_one() -> None:
    state = started()
    state.propose([risk(("limit: 5,", "limit: 6,"))], at("10:00"))
    just_after = at("17:00") + 300_000  # before any tick has made what waited come true
    report = state.propose([risk(("limit: 5,", "limit: 6,"), ("limit: -500", "limit: -600"))], just_after)
    assert [(str(w.change.new), w.effective_at) for w in report.pending] == [("-600", at("24 17:00"))]
    assert [item.change.path for item in report.applied] == ["rules.max_contracts.limit"]
    assert limit(state) == -500


def keyed(key: str, **more: object) -> AccountsConfig:
    return AccountsConfig.model_validate({"logins": [{"username": "trader1", "api_key": key, **more}]})


@pytest.mark.parametrize("loosen", ["next_reset", "immediately"])
def test_propose_when_a_key_changes_keeps_the_one_in_force_until_the_gateway_accepts_the_other(loosen: str) -> None:
    store = MemoryStore()
    policy = risk(("loosen: next_reset", f"loosen: {loosen}"))
    state = started(store, files(policy, keyed("right")))
    report = state.propose([keyed("wrong")], at("10:00"))
    assert [waiting.change.path for waiting in report.pending] == ["logins.trader1.api_key"]
    assert state.active.accounts == keyed("right")
    assert [login.username for login in state.untried_keys] == ["trader1"]
    # No reset and no restart puts a key in force that was never accepted.
    assert state.advance(at("17:00")) == []
    assert (state.active.accounts, state.effective_at) == (keyed("right"), at("24 17:00"))
    again = ConfigState.start(store, files(policy, keyed("wrong")), at("25 18:00"), next_reset)[0]
    assert again.active.accounts == keyed("right")
    # One that was accepted meanwhile is not the one that was tried.
    again.propose([keyed("other")], at("25 18:01"), keyed("wrong").logins)
    assert again.active.accounts == keyed("right")
    report = again.propose([], at("25 18:02"), keyed("other").logins)
    assert [item.change.path for item in report.applied] == ["logins.trader1.api_key"]
    assert (again.active.accounts, again.pending, again.untried_keys) == (keyed("other"), [], [])


def test_propose_when_a_login_is_switched_off_with_another_key_keeps_its_key_until_the_reset() -> None:
    state = started(loaded=files(accounts=keyed("right")))
    state.propose([keyed("wrong", enabled=False)], at("10:00"))
    assert state.active.accounts == keyed("right")
    state.advance(at("17:00"))
    assert state.active.accounts == keyed("wrong", enabled=False)


def test_propose_when_disk_is_full_changes_nothing() -> None:
    store = MemoryStore()
    state = started(store)
    store.full = True
    with pytest.raises(OSError, match="No space"):
        state.propose([TIGHTER], at("10:00"))
    assert limit(state) == -500
    assert state.wished.risk == BASE


def test_start_when_disk_is_full_goes_on_with_what_is_stored() -> None:
    store = MemoryStore()
    state = started(store)
    state.propose([LOOSER], at("10:00"))
    store.full = True
    state, report = ConfigState.start(store, files(TIGHTER), at("18:00"), next_reset)
    assert (limit(state), report.stored, report.applied) == (-500, False, [])
    assert "can't be written (No space left on device)" in str(report.errors[0])
    store.full = False
    state.reload(files(TIGHTER), at("18:01"))
    assert limit(state) == -400


def test_start_when_disk_is_full_and_nothing_was_stored_is_refused() -> None:
    store = MemoryStore()
    store.full = True
    with pytest.raises(OSError, match="No space"):
        started(store)


def test_state_that_is_stored_already_is_not_written_again(tmp_path: Path) -> None:
    store = FileStateStore(tmp_path / "state.json")
    started_at_nine = ConfigState.start(store, files(), at("09:00"), next_reset)[0]
    before = [path.stat().st_ino for path in sorted(tmp_path.iterdir())]
    again = ConfigState.start(store, files(), at("10:00"), next_reset)[0]
    assert again.active == started_at_nine.active
    assert [path.stat().st_ino for path in sorted(tmp_path.iterdir())] == before
    (tmp_path / "state.json").write_text("{", encoding="utf-8")
    ConfigState.start(store, files(), at("11:00"), next_reset)
    text = (tmp_path / "state.json").read_text(encoding="utf-8")
    assert text == (tmp_path / "state.json.copy").read_text(encoding="utf-8")


def test_propose_when_reset_is_moved_waits_and_never_gives_a_short_day() -> None:
    state = started()
    moved = risk(('reset: {time: "17:00"', 'reset: {time: "17:02"'))
    state.propose([moved], at("10:00"))
    assert state.active.risk.reset.time == dt.time(17)
    state.advance(at("17:00"))
    assert state.active.risk.reset.time == dt.time(17, 2)
    assert state.no_reset_before == at("17:00") + SHORTEST_DAY_US
    # A further change can't ride on the reset two minutes later.
    state.propose([risk(('reset: {time: "17:00"', 'reset: {time: "17:04"'))], at("17:01"))
    assert state.effective_at == at("24 17:02")


def test_reload_when_one_file_is_broken_keeps_it_and_takes_the_others() -> None:
    state = started()
    closed = load_holidays("dates: {2026-12-24: closed}")
    report = state.reload(files(broken("risk_config.yaml"), ACCOUNTS, closed), at("10:00"))
    assert state.active.risk == BASE
    assert state.active.holidays == closed
    assert [Path(error.file).name for error in report.errors] == ["risk_config.yaml"]


def test_reload_when_login_is_removed_keeps_protecting_it_until_the_reset() -> None:
    state = started()
    state.reload(files(accounts=load_accounts("logins: []")), at("10:00"))
    assert [login.username for login in state.active.accounts.logins] == ["trader1"]
    assert [(waiting.file, waiting.change.path) for waiting in state.pending] == [("accounts.yaml", "logins.trader1")]
    state.advance(at("17:00"))
    assert state.active.accounts.logins == ()


# --- starting ------------------------------------------------------------------------------------------------------


def test_start_when_new_takes_the_files_as_they_are() -> None:
    store = MemoryStore()
    state, report = ConfigState.start(store, files(LOOSER), at("09:00"), next_reset)
    assert limit(state) == -600
    assert report.pending == []
    assert store.text is not None


def test_start_when_new_and_a_file_is_invalid_raises_all_errors() -> None:
    store = MemoryStore()
    with pytest.raises(ConfigErrors) as raised:
        ConfigState.start(store, files(broken("risk_config.yaml"), broken("accounts.yaml")), at("09:00"), next_reset)
    assert {error.file for error in raised.value.errors} == {"risk_config.yaml", "accounts.yaml"}
    assert store.text is None


def test_start_when_file_was_loosened_while_off_waits_as_if_it_had_run() -> None:
    store = MemoryStore()
    started(store)
    state, report = ConfigState.start(store, files(LOOSER), at("10:00"), next_reset)
    assert limit(state) == -500
    assert [waiting.effective_at for waiting in report.pending] == [at("17:00")]
    # ... and starting again does not help either.
    assert limit(started(store, files(LOOSER), "10:01")) == -500
    assert limit(started(store, files(LOOSER), "17:01")) == -600


def test_start_when_file_was_tightened_while_off_applies_it() -> None:
    store = MemoryStore()
    started(store)
    assert limit(started(store, files(TIGHTER), "10:00")) == -400


def test_open_configuration_when_home_is_new_writes_templates_and_when_known_does_not(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.create()
    _, report, written = open_configuration(home, at("09:00"), next_reset)
    assert len(written) == 3
    assert report == Report()
    home.holidays_file.unlink()
    state, report, written = open_configuration(home, at("09:01"), next_reset)
    assert written == []
    assert [Path(error.file).name for error in report.errors] == ["holidays.yaml"]
    assert state.active.holidays.dates
    assert not home.holidays_file.exists()


@pytest.mark.parametrize("why", ["broken", "deleted"])
def test_start_when_file_is_unusable_goes_on_with_the_last_good_one(why: str, tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.create()
    write_templates(home)
    store = FileStateStore(home.config_state_file)
    before = ConfigState.start(store, load_files(home), at("09:00"), next_reset)[0].active
    if why == "deleted":
        home.risk_config_file.unlink()
    else:
        home.risk_config_file.write_text("rules: {daily_realized_loss: {limit: -5000}", encoding="utf-8")
    state, report = ConfigState.start(FileStateStore(home.config_state_file), load_files(home), at("10:00"), next_reset)
    assert state.active == before
    assert [Path(error.file).name for error in report.errors] == ["risk_config.yaml"]
    assert state.pending == []


def test_start_when_pending_matured_while_off_applies_it() -> None:
    store = MemoryStore()
    started(store).propose([LOOSER], at("10:00"))
    state, report = ConfigState.start(store, files(LOOSER), at("24 09:00"), next_reset)
    assert limit(state) == -600
    assert [found.change.path for found in report.applied] == ["rules.daily_realized_loss.limit"]


def test_start_when_pending_and_not_due_still_waits() -> None:
    store = MemoryStore()
    state = started(store)
    state.propose([LOOSER], at("10:00"))
    again = started(store, files(LOOSER), "16:59")
    assert [waiting.id for waiting in again.pending] == [waiting.id for waiting in state.pending]
    assert again.effective_at == at("17:00")


def test_start_when_state_is_damaged_says_so_and_uses_the_files() -> None:
    store = MemoryStore()
    store.text = "damaged"
    state, report = ConfigState.start(store, files(), at("09:00"), next_reset)
    assert limit(state) == -500
    assert len(report.errors) == 1
    assert "check them" in str(report.errors[0])


def test_start_when_stored_by_an_unknown_version_says_so() -> None:
    store = MemoryStore()
    store.text = seal({"active": {"risk_config.yaml": {"rules": {"of_the_future": {}}}}})
    _, report = ConfigState.start(store, files(), at("09:00"), next_reset)
    assert len(report.errors) == 1


def test_start_when_key_stands_in_the_file_keeps_it(tmp_path: Path) -> None:
    store = FileStateStore(tmp_path / "state.json")
    accounts = load_accounts("logins: [{username: a, api_key: 'the-key'}]")
    ConfigState.start(store, files(accounts=accounts), at("09:00"), next_reset)
    state, _ = ConfigState.start(store, files(accounts=broken("accounts.yaml")), at("10:00"), next_reset)
    assert state.active.accounts.logins[0].api_key.get_secret_value() == "the-key"
    assert (tmp_path / "state.json").stat().st_mode & 0o077 == 0


# --- taking back ---------------------------------------------------------------------------------------------------


def test_cancel_when_one_of_two_waits_takes_back_that_one_and_patches_the_file() -> None:
    text = DOCUMENTED.replace("limit: -500", "limit: -600").replace("limit: 5,", "limit: 9,")
    state = started()
    state.propose([load_risk_config(text)], at("10:00"))
    one = next(waiting for waiting in state.pending if waiting.change.path == "rules.max_contracts.limit")
    cancelled = state.cancel(one.id, at("10:01"))
    assert [waiting.change.path for waiting in state.pending] == ["rules.daily_realized_loss.limit"]
    mended = load_risk_config(patch_text(text, cancelled.patches["risk_config.yaml"]))
    assert mended == LOOSER
    state.reload(files(mended), at("10:02"))
    assert [waiting.change.path for waiting in state.pending] == ["rules.daily_realized_loss.limit"]
    state.advance(at("17:00"))
    assert state.active.risk == LOOSER


def test_cancel_when_two_values_are_only_valid_together_takes_back_both() -> None:
    state = started(
        loaded=files(risk(("close_all: false, reduce_to_limit: true", "close_all: true, reduce_to_limit: false")))
    )
    state.propose([BASE], at("10:00"))
    assert len(state.pending) == 2
    cancelled = state.cancel(state.pending[0].id, at("10:01"))
    assert len(cancelled.changes) == 2
    assert state.pending == []


def test_cancel_when_a_login_with_dots_was_removed_brings_it_back() -> None:
    accounts = load_accounts("logins: [{username: john.doe@example.org, accounts: [7]}, {username: b}]")
    state = started(loaded=files(accounts=accounts))
    left = "logins:\n  - username: b\n"
    state.propose([load_accounts(left)], at("10:00"))
    cancelled = state.cancel(state.pending[0].id, at("10:01"))
    assert state.pending == []
    assert state.wished.accounts.logins[-1].username == "john.doe@example.org"
    mended = load_accounts(patch_text(left, cancelled.patches["accounts.yaml"]))
    assert diff(mended, state.wished.accounts) == []


def test_cancel_when_a_rule_was_removed_brings_it_back_in_the_file() -> None:
    text = DOCUMENTED.replace("  daily_realized_loss: {enabled: true, limit: -500}\n", "")
    text = text.replace("accounts:                     #", "accounts: {}\nx_: #").split("x_:", maxsplit=1)[0]
    state = started(loaded=files(risk(("  101: {rules: {daily_realized_loss: {limit: -250}}}\n", "  {}\n"))))
    state.propose([load_risk_config(text)], at("10:00"))
    cancelled = state.cancel(state.pending[0].id, at("10:01"))
    assert load_risk_config(patch_text(text, cancelled.patches["risk_config.yaml"])) == state.wished.risk
    assert limit(state) == -500


def test_cancel_when_a_holiday_was_removed_brings_it_back() -> None:
    state = started()
    state.propose([load_holidays("dates: {}")], at("10:00"))
    cancelled = state.cancel(state.pending[0].id, at("10:01"))
    assert load_holidays(patch_text("dates: {}\n", cancelled.patches["holidays.yaml"])) == HOLIDAYS


def test_cancel_when_id_is_unknown_raises() -> None:
    with pytest.raises(UnknownChange):
        started().cancel("0123", at("10:00"))


def test_cancel_when_account_keeps_its_own_value_takes_back_what_it_amounts_to() -> None:
    state = started()
    state.propose([risk(("  101: {rules: {daily_realized_loss: {limit: -250}}}\n", "  {}\n"))], at("10:00"))
    (waiting,) = state.pending
    assert waiting.change.path == "accounts.101.rules.daily_realized_loss.limit"
    state.cancel(waiting.id, at("10:01"))
    state.advance(at("17:00"))
    rule = state.active.risk.rules_for(101).daily_realized_loss
    assert rule is not None
    assert rule.limit == -250


# --- storing -------------------------------------------------------------------------------------------------------


def test_store_when_file_is_damaged_reads_the_copy(tmp_path: Path) -> None:
    store = FileStateStore(tmp_path / "state.json")
    assert store.load() is None
    store.save(seal({"a": 1}))
    (tmp_path / "state.json").write_text("{", encoding="utf-8")
    text = store.load()
    assert text is not None
    assert unseal(text) == {"a": 1}
    (tmp_path / "state.json.copy").write_bytes(b"\xff\x00")
    with pytest.raises(StateUnreadable):
        store.load()


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", '"x"', '{"format": 1}', seal({"a": 1}).replace("a", "b"), seal({}).replace(": 1", ": 9")],
)
def test_unseal_when_text_was_changed_raises(text: str) -> None:
    with pytest.raises(StateUnreadable):
        unseal(text)


# --- laws ----------------------------------------------------------------------------------------------------------

_steps = st.lists(
    st.one_of(
        st.tuples(st.just("propose"), risk_configs),
        st.tuples(st.just("propose"), accounts_configs),
        st.tuples(st.just("propose"), calendars),
        st.tuples(st.just("restart"), st.none()),
        st.tuples(st.just("cancel"), st.integers(0, 3)),
    ),
    max_size=6,
)


def loosened(old: Configuration, new: Configuration) -> list[Any]:
    pairs: list[tuple[Any, Any]] = [(old.risk, new.risk), (old.accounts, new.accounts), (old.holidays, new.holidays)]
    return [change for before, after in pairs for change in diff(before, after) if change.effect == "loosens"]


@settings(max_examples=40, deadline=None)
@given(risk_configs, accounts_configs, calendars, _steps)
def test_state_when_anything_happens_before_the_reset_never_loosens_and_after_it_is_as_wished(
    first: RiskConfig, logins: AccountsConfig, days: HolidayCalendar, steps: list[tuple[str, Any]]
) -> None:
    store = MemoryStore()
    state, _ = ConfigState.start(store, files(first, logins, days), at("09:00"), next_reset)
    now = at("09:00")
    for step, argument in steps:
        now += 1
        before = state.active
        if step == "propose":
            state.propose([argument], now)
        elif step == "restart":
            wished = state.wished
            state, _ = ConfigState.start(store, files(wished.risk, wished.accounts, wished.holidays), now, next_reset)
            assert state.active == before
        elif argument < len(state.pending):
            chosen = state.pending[argument]
            try:
                state.cancel(chosen.id, now)
            except CancelRefused:
                continue
            assert chosen.id not in {waiting.id for waiting in state.pending}
        if protects(before):
            assert loosened(before, state.active) == []
    state.advance(now + 49 * HOUR)
    assert state.active == state.wished
    assert state.pending == []
    names: set[FileName] = {waiting.file for waiting in state.pending}
    assert names == set()
