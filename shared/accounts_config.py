"""accounts.yaml as immutable Pydantic models: the gateway's addresses, the logins and their accounts."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BeforeValidator,
    Field,
    ModelWrapValidatorHandler,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from shared.config_fields import Flag, Settings, error_detail, setting
from shared.loopback import is_loopback_host


def _address(value: object) -> str:
    """An https address; http is only for a gateway on this machine: over it an API key would travel in the clear."""
    text = value.strip() if isinstance(value, str) else ""
    try:
        parts = urlsplit(text)
        host, named, _ = parts.hostname, parts.username is not None or parts.password is not None, parts.port
    except ValueError:
        host, named = None, False
    if not host or parts.scheme not in ("https", "http"):
        raise PydanticCustomError("address", "must be an address that begins with https://")
    if named:
        raise PydanticCustomError(
            "address_with_login", "must not have a user name or password in it; the login stands below logins"
        )
    if parts.scheme == "http" and not is_loopback_host(host):
        raise PydanticCustomError(
            "address_in_the_clear", "must begin with https://; http is for a gateway on this machine alone"
        )
    return text.rstrip("/")


class GatewayConfig(Settings):
    """Addresses of the ProjectX Gateway; those of the live TopstepX unless said otherwise.

    Plain http is meant for a simulated gateway on this machine.
    """

    # Any change waits: a daemon that talks to another gateway protects nothing here.
    api_url: Annotated[
        str, BeforeValidator(_address), setting("REST", "Address of the REST interface, ending in /api.", looser="any")
    ] = "https://api.topstepx.com/api"
    user_hub_url: Annotated[
        str, BeforeValidator(_address), setting("User hub", "Address of the SignalR user hub.", looser="any")
    ] = "https://rtc.topstepx.com/hubs/user"
    market_hub_url: Annotated[
        str, BeforeValidator(_address), setting("Market hub", "Address of the SignalR market hub.", looser="any")
    ] = "https://rtc.topstepx.com/hubs/market"


def _accounts(value: object) -> object:
    if value == "all":
        return value
    numbers = value if isinstance(value, list | tuple) else [None]
    if not all(isinstance(number, int) and not isinstance(number, bool) and number > 0 for number in numbers):
        raise PydanticCustomError("accounts", "must be all, or a list of account ids such as [101, 102]")
    return tuple(numbers)


def _api_key(value: object) -> object:
    if isinstance(value, SecretStr) or (isinstance(value, str) and value.strip()):
        return value
    raise PydanticCustomError("api_key", "must be keyring, or the key itself in quotes")


class LoginConfig(Settings):
    """One login at the gateway and which of its accounts are protected."""

    username: Annotated[
        str, setting("User name", "Name of the login.", looser="any"), Field(min_length=1, max_length=256)
    ]
    # Any change waits until the gateway has accepted the other key: with a wrong one nothing is protected.
    api_key: Annotated[
        SecretStr,
        BeforeValidator(_api_key),
        setting("API key", "keyring (the system's key store), or the key itself.", looser="any"),
    ] = SecretStr("keyring")
    accounts: Annotated[
        Literal["all"] | tuple[int, ...],
        BeforeValidator(_accounts),
        setting("Accounts", "all, or a list of account ids.", looser="fewer"),
    ] = "all"
    enabled: Annotated[Flag, setting("Enabled", "Whether this login is used.", looser="lower")] = True

    @property
    def uses_keyring(self) -> bool:
        """Whether the key is in the system keyring; otherwise it stands in the file, which is warned about."""
        return self.api_key.get_secret_value() == "keyring"


class AccountsConfig(Settings):
    """accounts.yaml."""

    gateway: GatewayConfig = GatewayConfig()
    logins: tuple[LoginConfig, ...] = ()

    @model_validator(mode="wrap")
    @classmethod
    def _each_once(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Refuse a user name or an account id that comes twice, together with all other errors."""
        errors: list[InitErrorDetails] = []
        config: Self | None = None
        try:
            config = handler(data)
        except ValidationError as error:
            errors += [error_detail(entry, tuple(entry["loc"])) for entry in error.errors(include_url=False)]
        raw = data.get("logins") if isinstance(data, Mapping) else config.logins if config is not None else None
        errors += _twice(raw if isinstance(raw, list | tuple) else ())
        if errors or config is None:
            raise ValidationError.from_exception_data(cls.__name__, errors, hide_input=True)
        return config


def _twice(logins: Sequence[object]) -> Iterator[InitErrorDetails]:
    names: dict[str, int] = {}
    owners: dict[int, int] = {}
    for index, login in enumerate(logins):
        fields = login if isinstance(login, Mapping) else dict(login) if isinstance(login, LoginConfig) else {}
        name, accounts = fields.get("username"), fields.get("accounts")
        if isinstance(name, str) and names.setdefault(name.strip().casefold(), index) != index:
            kind = PydanticCustomError("username_twice", "is a user name that is already there; remove one of them")
            yield InitErrorDetails(type=kind, loc=("logins", index, "username"), input=name)
        for place, account in enumerate(accounts if isinstance(accounts, list | tuple) else ()):
            if not isinstance(account, int):
                continue
            if account in owners:
                kind = PydanticCustomError(
                    "account_twice", "is account {account} a second time; remove one of them", {"account": account}
                )
                yield InitErrorDetails(type=kind, loc=("logins", index, "accounts", place), input=account)
            owners.setdefault(account, index)
