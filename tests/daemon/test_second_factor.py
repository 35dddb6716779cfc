"""The second factor: right codes once, wrong ones slowly, and in doubt none at all."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pyotp
import pytest

from daemon.second_factor import Enrolment, SecondFactor, SecondFactorError

SECOND = 1_000_000
NOW = 1_795_250_010 * SECOND  # the start of a time-step


class Store:
    """Remembers a text, and can be broken."""

    def __init__(self, text: str | None = None) -> None:
        self.text = text
        self.broken = False

    def load(self) -> str | None:
        if self.broken:
            raise OSError("the keyring is locked")
        return self.text

    def save(self, text: str | None) -> None:
        if self.broken:
            raise OSError("the keyring is locked")
        self.text = text


def code_at(enrolment: Enrolment, now: int) -> str:
    return pyotp.TOTP(enrolment.secret).at(now // SECOND)


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06}"


def enrolled() -> tuple[SecondFactor, Store, Enrolment]:
    """Enrolled with the code of the step before NOW."""
    store = Store()
    factor = SecondFactor(store)
    enrolment = factor.begin_enrolment("riskd on DESK-1", NOW - 30 * SECOND)
    assert factor.confirm_enrolment(code_at(enrolment, NOW - 30 * SECOND), NOW - 30 * SECOND)
    return factor, store, enrolment


def test_factor_when_never_enrolled_is_not_asked_for_and_takes_nothing() -> None:
    factor = SecondFactor(Store())
    assert not factor.enrolled
    assert not factor.verify("000000", NOW)


def test_enrolment_when_begun_binds_nobody_until_it_is_confirmed() -> None:
    store = Store()
    factor = SecondFactor(store)
    enrolment = factor.begin_enrolment("DESK-1", NOW)
    assert not factor.enrolled
    assert not factor.confirm_enrolment(wrong(code_at(enrolment, NOW)), NOW)
    assert store.text is None
    assert factor.confirm_enrolment(code_at(enrolment, NOW), NOW)
    assert factor.enrolled
    assert SecondFactor(store).enrolled


def test_enrolment_when_shown_fits_an_authenticator() -> None:
    enrolment = SecondFactor(Store()).begin_enrolment("riskd on DESK-1", NOW)
    address = urlparse(enrolment.uri)
    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    assert parse_qs(address.query) == {"secret": [enrolment.secret], "issuer": ["Risk Manager"]}
    assert len(set(enrolment.recovery_codes)) == 10
    assert all(len(code) == 19 for code in enrolment.recovery_codes)


def test_enrolment_when_confirmed_too_late_or_twice_is_refused() -> None:
    factor = SecondFactor(Store())
    enrolment = factor.begin_enrolment("x", NOW)
    late = NOW + 601 * SECOND
    with pytest.raises(SecondFactorError):
        factor.confirm_enrolment(code_at(enrolment, late), late)
    with pytest.raises(SecondFactorError):
        factor.confirm_enrolment(code_at(enrolment, NOW), NOW)


@pytest.mark.parametrize("drift", [-30, 0, 30])
def test_code_when_a_step_early_or_late_is_taken(drift: int) -> None:
    factor, _, enrolment = enrolled()
    now = NOW + 60 * SECOND
    assert factor.verify(code_at(enrolment, now + drift * SECOND), now)


@pytest.mark.parametrize("drift", [-90, -60, 60, 90])
def test_code_when_further_off_is_refused(drift: int) -> None:
    factor, _, enrolment = enrolled()
    now = NOW + 600 * SECOND
    assert not factor.verify(code_at(enrolment, now + drift * SECOND), now)


def test_code_when_used_is_refused_in_the_same_step_and_after_a_restart() -> None:
    factor, store, enrolment = enrolled()
    code = code_at(enrolment, NOW)
    assert factor.verify(code, NOW)
    assert not factor.verify(code, NOW + SECOND)
    assert not SecondFactor(store).verify(code, NOW + SECOND)
    assert factor.verify(code_at(enrolment, NOW + 30 * SECOND), NOW + 30 * SECOND)


def test_code_when_older_than_one_used_is_refused() -> None:
    factor, _, enrolment = enrolled()
    assert factor.verify(code_at(enrolment, NOW + 30 * SECOND), NOW)
    assert not factor.verify(code_at(enrolment, NOW), NOW)


def test_code_when_it_confirmed_the_enrolment_is_used_up() -> None:
    factor, _, enrolment = enrolled()
    assert not factor.verify(code_at(enrolment, NOW - 30 * SECOND), NOW - 29 * SECOND)


@pytest.mark.parametrize(
    "code", ["", "12345", "1234567", "abcdef", "１２３４５６", "-12345", "12 34", "\x00" * 6, "é" * 19]
)
def test_code_when_it_is_none_is_refused(code: str) -> None:
    factor, _, _ = enrolled()
    assert not factor.verify(code, NOW)


def test_code_when_typed_with_a_space_is_taken() -> None:
    factor, _, enrolment = enrolled()
    code = code_at(enrolment, NOW)
    assert factor.verify(f"{code[:3]} {code[3:]}", NOW)


def test_recovery_code_when_used_works_once_however_typed() -> None:
    factor, store, enrolment = enrolled()
    assert factor.verify(enrolment.recovery_codes[3].lower().replace("-", " "), NOW)
    assert factor.recovery_codes_left == 9
    assert not factor.verify(enrolment.recovery_codes[3], NOW)
    assert not SecondFactor(store).verify(enrolment.recovery_codes[3], NOW)
    assert SecondFactor(store).verify(enrolment.recovery_codes[4], NOW)


def test_store_when_looked_at_holds_no_recovery_code() -> None:
    _, store, enrolment = enrolled()
    assert store.text is not None
    for code in enrolment.recovery_codes:
        assert code not in store.text
        assert code.replace("-", "") not in store.text


def test_codes_when_five_are_wrong_pause_longer_each_time_and_over_restarts() -> None:
    factor, store, enrolment = enrolled()
    now = NOW
    pauses = []
    for _ in range(8):
        for _ in range(5):
            assert factor.pause_left(now) == 0
            factor.verify(wrong(code_at(enrolment, now)), now)
        pauses.append(factor.pause_left(now))
        assert not factor.verify(code_at(enrolment, now), now)  # not even a right one
        factor = SecondFactor(store)
        assert factor.pause_left(now) == pauses[-1]
        assert not factor.verify(code_at(enrolment, now), now)
        now += pauses[-1] * SECOND
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert factor.verify(code_at(enrolment, now), now)
    for _ in range(4):
        factor.verify("000000", now)
    assert factor.pause_left(now) == 0


def test_recovery_codes_when_guessed_pause_too() -> None:
    factor, _, enrolment = enrolled()
    for _ in range(5):
        assert not factor.verify("AAAA-AAAA-AAAA-AAAA", NOW)
    assert not factor.verify(enrolment.recovery_codes[0], NOW)
    assert factor.recovery_codes_left == 10


def test_factor_when_replaced_takes_only_the_new_secret() -> None:
    factor, _, old = enrolled()
    new = factor.begin_enrolment("x", NOW)
    assert factor.verify(code_at(old, NOW), NOW)  # until it is confirmed, the old one counts
    later = NOW + 60 * SECOND
    assert factor.confirm_enrolment(code_at(new, later), later)
    later += 60 * SECOND
    assert not factor.verify(code_at(old, later), later)
    assert factor.verify(code_at(new, later), later)


def test_factor_when_disabled_is_forgotten() -> None:
    factor, store, _ = enrolled()
    factor.disable()
    assert store.text is None
    assert not factor.enrolled


def test_store_when_it_cannot_be_read_counts_as_enrolled_and_takes_no_code() -> None:
    _, store, enrolment = enrolled()
    store.broken = True
    factor = SecondFactor(store)
    assert factor.enrolled
    assert factor.broken is not None
    assert not factor.verify(code_at(enrolment, NOW), NOW)
    with pytest.raises(SecondFactorError):
        factor.begin_enrolment("x", NOW)
    with pytest.raises(SecondFactorError):
        factor.disable()


@pytest.mark.parametrize(
    "change", [{"secret": "x"}, {"secret": "1" * 32}, {"salt": "zz"}, {"version": 2}, {"recovery": 5}, {"more": 1}]
)
def test_store_when_damaged_counts_as_enrolled_and_takes_no_code(change: dict[str, object]) -> None:
    _, store, enrolment = enrolled()
    assert store.text is not None
    for text in ("", "[]", json.dumps({**json.loads(store.text), **change})):
        factor = SecondFactor(Store(text))
        assert factor.enrolled
        assert not factor.verify(code_at(enrolment, NOW), NOW)


def test_code_when_its_use_cannot_be_stored_is_refused_and_used_up() -> None:
    factor, store, enrolment = enrolled()
    code = code_at(enrolment, NOW)
    store.broken = True
    assert not factor.verify(code, NOW)
    store.broken = False
    assert not factor.verify(code, NOW)


def test_module_when_read_makes_no_clock_of_its_own() -> None:
    source = (Path(__file__).parents[2] / "daemon" / "second_factor.py").read_text()
    assert "import time" not in source
    assert "datetime" not in source
