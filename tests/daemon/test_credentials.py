"""The key store, with backends that work, fail, lie and hang; and hiding secrets in text."""

import threading
from collections.abc import Iterator

import keyring.errors
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyring.backends import fail

from daemon import credentials
from daemon.config_loader import load_accounts
from daemon.credentials import (
    HIDDEN,
    MAX_KEY_LENGTH,
    CredentialError,
    CredentialStore,
    checked_key,
    key_of,
    redact,
    register_secret,
)


@pytest.fixture(scope="module", autouse=True)
def own_secrets() -> Iterator[None]:
    """Secrets registered here are forgotten afterwards: other tests' texts might hold them by chance."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(credentials, "_secrets", set())
        patch.setattr(credentials, "_known", None)
        yield


class MemoryKeyring:
    def __init__(self) -> None:
        self.keys: dict[tuple[str, str], str] = {}

    def get_password(self, service_name: str, username: str, /) -> str | None:
        return self.keys.get((service_name, username))

    def set_password(self, service_name: str, username: str, password: str, /) -> None:
        self.keys[service_name, username] = password

    def delete_password(self, service_name: str, username: str, /) -> None:
        del self.keys[service_name, username]


class FailingKeyring(MemoryKeyring):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def get_password(self, service_name: str, username: str, /) -> str | None:
        raise self.error

    def set_password(self, service_name: str, username: str, password: str, /) -> None:
        raise self.error

    def delete_password(self, service_name: str, username: str, /) -> None:
        raise self.error


class HangingKeyring(MemoryKeyring):
    def __init__(self) -> None:
        super().__init__()
        self.release = threading.Event()

    def get_password(self, service_name: str, username: str, /) -> str | None:
        self.release.wait(30)
        return None


class ForgetfulKeyring(MemoryKeyring):
    def set_password(self, service_name: str, username: str, password: str, /) -> None:
        pass


def test_store_when_key_is_set_gives_it_back_under_the_documented_service() -> None:
    backend = MemoryKeyring()
    store = CredentialStore(backend)
    assert not store.has("trader1")
    store.set("trader1", "  the-key-of-one \n")
    assert backend.keys == {("RiskManager", "trader1"): "the-key-of-one"}
    assert store.has("trader1")
    assert store.get("trader1") == "the-key-of-one"
    store.delete("trader1")
    store.delete("trader1")
    assert not store.has("trader1")


def test_get_when_nothing_is_stored_says_how_to_enter_it() -> None:
    with pytest.raises(CredentialError, match=r"no API key is stored for trader1; enter it"):
        CredentialStore(MemoryKeyring()).get("trader1")


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("x" * (MAX_KEY_LENGTH + 1), "1281 characters, at most 1280"),
        ("ab cd", "blank"),
        ("ab\x00cd", "control character"),
        ("ab\ncd", "blank or a control character"),
        ("keyring", "enter the key itself"),
    ],
)
def test_set_when_key_can_not_be_one_stores_nothing_and_does_not_repeat_it(key: str, said: str) -> None:
    backend = MemoryKeyring()
    with pytest.raises(CredentialError, match=said) as raised:
        CredentialStore(backend).set("trader1", key)
    assert backend.keys == {}
    assert len(str(raised.value)) < 200


def test_set_when_key_has_the_greatest_length_stores_it() -> None:
    store = CredentialStore(MemoryKeyring())
    store.set("a", "k" * MAX_KEY_LENGTH)
    assert len(store.get("a")) == MAX_KEY_LENGTH


def test_set_when_user_name_is_empty_refuses() -> None:
    with pytest.raises(CredentialError, match="user name is empty"):
        CredentialStore(MemoryKeyring()).set(" ", "some-key")


def test_set_when_backend_forgets_says_so() -> None:
    with pytest.raises(CredentialError, match="did not keep the key of a"):
        CredentialStore(ForgetfulKeyring()).set("a", "some-key")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (keyring.errors.NoKeyringError("no backend"), "has no key store"),
        (keyring.errors.KeyringLocked("locked"), "is locked"),
        (keyring.errors.InitError("dbus some-secret"), "failed \\(InitError\\)"),
        (keyring.errors.PasswordSetError("vault some-secret"), "refused the key"),
        (RuntimeError("some-secret"), "failed \\(RuntimeError\\)"),
        (OSError(5, "some-secret"), "failed \\(OSError\\)"),
    ],
)
def test_store_when_backend_fails_tells_it_in_one_sentence_without_details(error: Exception, said: str) -> None:
    store = CredentialStore(FailingKeyring(error))
    for act in (lambda: store.get("a"), lambda: store.set("a", "some-key"), lambda: store.has("a")):
        with pytest.raises(CredentialError, match=said) as raised:
            act()
        assert "some-secret" not in str(raised.value)


def test_store_when_backend_hangs_gives_up_in_time() -> None:
    backend = HangingKeyring()
    try:
        with pytest.raises(CredentialError, match=r"did not answer within 0\.05 s"):
            CredentialStore(backend, timeout=0.05).get("a")
    finally:
        backend.release.set()


def test_store_when_system_has_no_backend_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring, "get_keyring", fail.Keyring)
    with pytest.raises(CredentialError, match="has no key store"):
        CredentialStore().get("a")


def test_key_of_when_key_stands_in_the_file_takes_it_and_hides_it() -> None:
    (login,) = load_accounts("logins: [{username: a, api_key: literal-key-77}]").logins
    assert key_of(login, CredentialStore(MemoryKeyring())) == "literal-key-77"
    assert redact("sent literal-key-77") == f"sent {HIDDEN}"


def test_key_of_when_it_says_keyring_asks_the_store() -> None:
    store = CredentialStore(MemoryKeyring())
    store.set("a", "stored-key-78")
    (login,) = load_accounts("logins: [{username: a}]").logins
    assert key_of(login, store) == "stored-key-78"


# --- hiding ----------------------------------------------------------------------------------------------------------

JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxIiwiZXhwIjoxfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"token {JWT} used", f"token {HIDDEN} used"),
        (f"{JWT[:40]}", HIDDEN),
        (f"wss://h/hubs/user?access_token={JWT}&id=7", f"wss://h/hubs/user?access_token={HIDDEN}&id=7"),
        ("wss://h/hubs/user?access_token=opaque-1&id=7", f"wss://h/hubs/user?access_token={HIDDEN}&id=7"),
        ("to=%3Faccess_token%3Dopaque-1%26id", f"to=%3Faccess_token%3D{HIDDEN}%26id"),
        ("Authorization: Bearer abcdef123456", f"Authorization: Bearer {HIDDEN}"),
        ('{"userName": "a", "apiKey": "x y\\"z"}', f'{{"userName": "a", "apiKey": {HIDDEN}}}'),
        ("{'api_key': 'abc', 'n': 1}", f"{{'api_key': {HIDDEN}, 'n': 1}}"),
        ("password=abc;x", f"password={HIDDEN};x"),
        ('"newToken":"abc"', f'"newToken":{HIDDEN}'),
    ],
)
def test_redact_when_text_has_a_secret_hides_it(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert redact(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Daily loss -510.74 reached the limit of -500.00; locked until 17:00 New York",
        "api_key: keyring",
        "the key store is locked",
        "token expires in 4 h",
        "CON.F.US.MNQ.U25 key levels",
        "apiKey: None",
    ],
)
def test_redact_when_text_has_no_secret_leaves_it(text: str) -> None:
    assert redact(text) == text


def test_redact_when_secret_is_registered_hides_it_in_every_form() -> None:
    register_secret("pä/ss+wo=rd\\1")
    for written in ("pä/ss+wo=rd\\1", "p%C3%A4%2Fss%2Bwo%3Drd%5C1", "pä/ss+wo=rd\\\\1"):
        assert redact(f"<{written}>") == f"<{HIDDEN}>"


def test_redact_when_one_secret_begins_with_another_leaves_nothing_over() -> None:
    register_secret("abcdef-short")
    register_secret("abcdef-short-and-long")
    assert redact("abcdef-short-and-long") == HIDDEN


def test_register_secret_when_text_is_short_is_ignored() -> None:
    register_secret("a")
    assert redact("a day at a time") == "a day at a time"


@given(st.text("abcdefghij0123456789+/=", min_size=8, max_size=60), st.text(max_size=20), st.text(max_size=20))
def test_redact_when_any_secret_is_registered_never_shows_it(secret: str, before: str, after: str) -> None:
    register_secret(secret)
    assert secret not in redact(before + secret + after)


def test_checked_key_when_fine_is_stripped() -> None:
    assert checked_key(" abc\n") == "abc"
