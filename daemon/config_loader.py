"""Reads the files of the home folder's config/: every error at once, each one sentence with file, line and key."""

import datetime as dt
import stat
import sys
from pathlib import Path

from pydantic import BaseModel, ValidationError

from daemon.config_errors import ConfigError, ConfigErrors, dotted, explain
from daemon.config_writing import Patch, PatchError, patch_text, write_atomically
from daemon.config_yaml import Document, decode, read
from shared.config import AccountsConfig, HolidayCalendar, RiskConfig, RulesConfig
from shared.paths import Home, shipped

__all__ = [
    "ConfigError",
    "ConfigErrors",
    "check_home",
    "home_warnings",
    "load_accounts",
    "load_holidays",
    "load_risk_config",
    "read_text",
    "revise",
    "rules_not_named",
    "write_templates",
]

_MAY_BE_EMPTY = {
    ("rules",), ("accounts",), ("reset",), ("policy",), ("policy", "admin_unlock"), ("ipc",), ("logging",),
    ("gateway",), ("logins",), ("dates",),
}  # fmt: skip
"""Groups that may stand there with nothing below them, as in a file in which all has been commented out."""


def load_risk_config(source: Path | str, file: str | None = None) -> RiskConfig:
    """risk_config.yaml from a file (Path) or from its text (str; ``file`` is what errors call it).

    Raises ConfigErrors with everything that is wrong.
    """
    return _load(RiskConfig, source, file or "risk_config.yaml")


def load_accounts(source: Path | str, file: str | None = None) -> AccountsConfig:
    """accounts.yaml, as `load_risk_config`. Errors never repeat an API key."""
    return _load(AccountsConfig, source, file or "accounts.yaml")


def load_holidays(source: Path | str, file: str | None = None) -> HolidayCalendar:
    """holidays.yaml, as `load_risk_config`."""
    return _load(HolidayCalendar, source, file or "holidays.yaml")


def read_text(path: Path) -> str:
    """The text of a configuration file. Raises ConfigErrors with one sentence if it can't be read."""
    try:
        if path.is_dir():
            raise ConfigErrors(
                [ConfigError(str(path), None, "", "is a folder; put the configuration file in its place")]
            )
        data = path.read_bytes()
    except FileNotFoundError:
        message = "is missing; put it back, from a backup in data/backups or as a copy of the program's template"
        raise ConfigErrors([ConfigError(str(path), None, "", message)]) from None
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        message = f"can't be read ({reason}); check that the account running riskd may read it"
        raise ConfigErrors([ConfigError(str(path), None, "", message)]) from None
    text, mistakes = decode(data)
    if mistakes:
        raise ConfigErrors([ConfigError(str(path), found.line, "", found.message) for found in mistakes])
    return text


def revise[T: BaseModel](
    model: type[T], present: str, *, yaml: str | None = None, patch: Patch | None = None, file: str = "set_config"
) -> tuple[str, T]:
    """New text and configuration for a request that gives either a whole new text or a patch of the ``present`` one.

    Comments stay (`config_writing.patch_text`). Nothing is written. Raises ConfigErrors with all that is wrong.
    """
    if (yaml is None) == (patch is None):
        raise ConfigErrors([ConfigError(file, None, "", "must have either yaml or patch")])
    if yaml is not None:
        text, mistakes = decode(yaml.encode("utf-8", "surrogatepass"))
        if mistakes:
            raise ConfigErrors([ConfigError(file, found.line, "", found.message) for found in mistakes])
        return text, _parse(model, text, file)
    try:
        text = patch_text(present, patch if patch is not None else {})
    except PatchError as error:
        raise ConfigErrors([ConfigError(file, None, "", str(error))]) from None
    return text, _parse(model, text, file)


def _load[T: BaseModel](model: type[T], source: Path | str, file: str) -> T:
    if isinstance(source, Path):
        return _parse(model, read_text(source), str(source))
    return _parse(model, source, file)


def _parse[T: BaseModel](model: type[T], text: str, file: str) -> T:
    document = read(text)
    errors = [ConfigError(file, found.line, dotted(found.path), found.message) for found in document.mistakes]
    if document.value is None and not errors:
        errors.append(
            ConfigError(file, None, "", "is empty; fill it in, from a backup in data/backups or the program's template")
        )
    elif not isinstance(document.value, dict) and not errors:
        errors.append(
            ConfigError(file, document.line_of(()), "", "must consist of keys and values, written as key: value")
        )
    if not isinstance(document.value, dict):
        raise ConfigErrors(errors)
    errors += _empty_values(document, file)
    try:
        config = model.model_validate(document.value)
    except ValidationError as error:
        errors += explain(error, model, file, document)
        if not errors:
            errors.append(ConfigError(file, None, "", "is not a valid configuration; compare it with the template"))
    else:
        errors += _logins_without_accounts(config, file, document)
    if errors:
        raise ConfigErrors(sorted(set(errors), key=lambda found: (found.line or 0, found.path, found.message)))
    return config


def _logins_without_accounts(config: BaseModel, file: str, document: Document) -> list[ConfigError]:
    """Enabled logins that name no account. An error in a file only: while accounts move, one may be left with none."""
    message = "names no account, so nothing is protected; write all or account ids, or enabled: false below the login"
    return [
        ConfigError(file, document.line_of(("logins", index, "accounts")), f"logins[{index}].accounts", message)
        for index, login in enumerate(config.logins if isinstance(config, AccountsConfig) else ())
        if login.enabled and login.accounts == ()
    ]


def _empty_values(document: Document, file: str) -> list[ConfigError]:
    """Keys without a value. An empty group is dropped; elsewhere nothing may be switched off by forgetting a value."""
    errors = []
    for path in document.nulls:
        if path in _MAY_BE_EMPTY and isinstance(document.value, dict):
            inner = document.value
            for step in path[:-1]:
                inner = inner[step]
            del inner[path[-1]]
        elif path[:1] == ("accounts",) and path[2:3] == ("rules",) and len(path) > 4:
            continue  # an override may take a key away
        elif path[0] == "rules" or path[2:3] == ("rules",):
            errors.append(
                ConfigError(
                    file,
                    document.line_of(path),
                    dotted(path),
                    "has no value; give it one, or switch a rule off with enabled: false",
                )
            )
        else:
            errors.append(
                ConfigError(file, document.line_of(path), dotted(path), "has no value; give it one or remove the line")
            )
    return errors


def check_home(home: Home) -> list[str]:
    """Every error of the three configuration files, one sentence each; empty if all is well (``riskd check``).

    A home without holidays.yaml is fine: the first start writes the one that is shipped.
    """
    found: list[str] = []
    for model, path in (
        (RiskConfig, home.risk_config_file),
        (AccountsConfig, home.accounts_file),
        (HolidayCalendar, home.holidays_file),
    ):
        if model is HolidayCalendar and not path.exists():
            continue
        try:
            _load(model, path, path.name)
        except ConfigErrors as errors:
            found += [str(error) for error in errors.errors]
    return found


def _others_may_read(file: Path) -> bool:
    """Whether neither the file's mode nor that of its folder keeps other users out."""
    if not file.exists() or not file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        return False
    return bool(file.parent.stat().st_mode & (stat.S_IXGRP | stat.S_IXOTH))


def home_warnings(home: Home, accounts: AccountsConfig, holidays: HolidayCalendar, today: dt.date) -> list[str]:
    """What is allowed but unwise, one sentence each; said at every start."""
    found = []
    file = home.accounts_file
    for login in accounts.logins:
        if not login.uses_keyring:
            found.append(
                f"{file}: the API key of {login.username} is written in the file;"
                " store it with the admin window and write api_key: keyring."
            )
    literal = any(not login.uses_keyring for login in accounts.logins)
    if sys.platform != "win32" and literal and _others_may_read(file):
        found.append(f"{file}: other users can read this file and the API key in it; set its mode to 0600.")
    if not any(login.enabled for login in accounts.logins):
        found.append(f"{file}: no login is enabled, so no account is protected; add one below logins.")
    last = max(holidays.dates, default=None)
    if last is None or last < today:
        found.append(f"{home.holidays_file}: no day after {today} is listed; add the holidays to come.")
    return found


def write_templates(home: Home) -> list[Path]:
    """Write the templates of the three files that do not exist yet; returns what was written.

    Raises OSError if a file can't be written. Call it for a new home only: where the daemon has a state, a missing
    file is answered with the last good copy, not with a template (`daemon.protection`).
    """
    written = []
    for path in (home.accounts_file, home.risk_config_file, home.holidays_file):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, shipped(f"config/{path.name}").read_text(encoding="utf-8"))
            written.append(path)
    return written


def rules_not_named(rules: RulesConfig) -> list[str]:
    """Keys of the rules that are off, for the start-up log."""
    named = {key for key, _ in rules.enabled()}
    return [key for key in type(rules).model_fields if key not in named]
