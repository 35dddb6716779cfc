"""The three configuration files of a home folder taken together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from daemon.config_errors import ConfigErrors
from daemon.config_loader import load_accounts, load_holidays, load_risk_config
from shared.config import AccountsConfig, HolidayCalendar, RiskConfig
from shared.paths import Home

FileName = Literal["risk_config.yaml", "accounts.yaml", "holidays.yaml"]
FILES: tuple[FileName, ...] = ("risk_config.yaml", "accounts.yaml", "holidays.yaml")


@dataclass(frozen=True)
class Configuration:
    """The three files together."""

    risk: RiskConfig
    accounts: AccountsConfig
    holidays: HolidayCalendar

    def part(self, file: FileName) -> BaseModel:
        """What one file holds."""
        return {"risk_config.yaml": self.risk, "accounts.yaml": self.accounts, "holidays.yaml": self.holidays}[file]

    def with_part(self, part: BaseModel) -> "Configuration":
        """The same with one file's content exchanged, told by its type. Raises TypeError for any other."""
        if isinstance(part, RiskConfig):
            return replace(self, risk=part)
        if isinstance(part, AccountsConfig):
            return replace(self, accounts=part)
        if isinstance(part, HolidayCalendar):
            return replace(self, holidays=part)
        raise TypeError(f"{type(part).__name__} is none of the configuration files")


type LoadedFiles = Mapping[FileName, BaseModel | ConfigErrors]
"""Each file's configuration, or what is wrong with it."""


def load_files(home: Home) -> dict[FileName, BaseModel | ConfigErrors]:
    """Read the three files of a home folder; errors are returned, not raised."""
    loaded: dict[FileName, BaseModel | ConfigErrors] = {}
    readers: dict[FileName, tuple[Callable[[Path], BaseModel], Path]] = {
        "risk_config.yaml": (load_risk_config, home.risk_config_file),
        "accounts.yaml": (load_accounts, home.accounts_file),
        "holidays.yaml": (load_holidays, home.holidays_file),
    }
    for file, (read, path) in readers.items():
        try:
            loaded[file] = read(path)
        except ConfigErrors as errors:
            loaded[file] = errors
    return loaded


MODELS: dict[FileName, type[BaseModel]] = {
    "risk_config.yaml": RiskConfig,
    "accounts.yaml": AccountsConfig,
    "holidays.yaml": HolidayCalendar,
}


def configuration_of(parts: Mapping[FileName, BaseModel]) -> Configuration:
    """The three parts put together. Raises KeyError if one is missing, TypeError if they are mixed up."""
    risk, accounts, holidays = (parts[file] for file in FILES)
    if not (
        isinstance(risk, RiskConfig) and isinstance(accounts, AccountsConfig) and isinstance(holidays, HolidayCalendar)
    ):
        raise TypeError("the parts of the configuration are mixed up")
    return Configuration(risk, accounts, holidays)
