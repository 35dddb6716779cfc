"""`riskd replay`: a recorded day through a configuration, offline."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from daemon.config_errors import ConfigErrors
from daemon.config_loader import load_holidays, load_risk_config
from daemon.journal import ConfigText, JournalError, StartState, read_journal
from daemon.replay import LIMITS, Replay, comparison, listing, side_by_side, summary
from shared.config import HolidayCalendar, RiskConfig
from shared.paths import Home, find_home

SUFFIX = ".jsonl.gz"


def replay(journal: str, home: str | None, config: str | None) -> int:
    """Print what was decided, or with another configuration both side by side. Returns the exit code.

    Args:
        journal: a file, or the date of a trading day in data/journal of the home folder.
        home: its risk_config.yaml and holidays.yaml are the other configuration, unless `config` is given.
        config: the other risk_config.yaml; holidays are those that were recorded.
    """
    path = _find(journal, find_home(home))
    try:
        other = _other(path, Home(Path(home).expanduser().absolute()) if home else None, config)
    except ConfigErrors as errors:
        print(errors, file=sys.stderr)
        return 2
    except JournalError as error:
        print(error, file=sys.stderr)
        return 1
    try:
        cut: list[int] = []
        if other is None:
            _single(path, cut.append)
        else:
            _both(path, other, cut.append)
    except JournalError as error:
        print(error, file=sys.stderr)
        return 1
    if cut:
        print(
            f"The journal {path} is cut off at byte {cut[0]}: what was recorded after it is missing.", file=sys.stderr
        )
        return 1
    return 0


def _find(journal: str, home: Home) -> Path:
    path = Path(journal).expanduser()
    if path.exists():
        return path
    named = home.journal / (journal if journal.endswith(SUFFIX) else journal + SUFFIX)
    return named if named.exists() else path


def _other(path: Path, home: Home | None, config: str | None) -> tuple[RiskConfig, HolidayCalendar] | None:
    """The configuration to compare with; None when it is the recorded one."""
    if config is None and home is None:
        return None
    recorded = _recorded(path)
    if config is not None:
        file = Path(config).expanduser()
        return load_risk_config(file, str(file)), recorded[1]
    assert home is not None
    found = (
        load_risk_config(home.risk_config_file, str(home.risk_config_file)),
        load_holidays(home.holidays_file, str(home.holidays_file)),
    )
    return None if found == recorded else found


def _recorded(path: Path) -> tuple[RiskConfig, HolidayCalendar]:
    for entry in read_journal(path):
        if isinstance(entry, ConfigText):
            return entry.parsed()
        if not isinstance(entry, StartState):
            break
    raise JournalError(f"The journal {path} is damaged: it begins without a configuration.")


def _single(path: Path, on_cut: Callable[[int], None]) -> None:
    run = Replay(warnings=True)
    count = 0
    for deed in run.run(read_journal(path, on_cut)):
        count += 1
        _print(listing([deed], _zone(run)))
    print(f"{count} decisions from {summary(run)}")


def _both(path: Path, other: tuple[RiskConfig, HolidayCalendar], on_cut: Callable[[int], None]) -> None:
    recorded, changed = Replay(), Replay(other)
    pairs = side_by_side(list(recorded.run(read_journal(path, on_cut))), list(changed.run(read_journal(path))))
    _print(comparison(pairs, _zone(recorded)))
    same = sum(pair.recorded is not None and pair.other is not None for pair in pairs)
    only = [sum(side is None for side in sides) for sides in zip(*((p.other, p.recorded) for p in pairs), strict=True)]
    recorded_only, other_only = only or (0, 0)
    print(f"Both: {same}; recorded configuration only: {recorded_only}; other configuration only: {other_only}.")
    print(f"From {summary(changed)}")
    print(LIMITS)


def _zone(run: Replay) -> str:
    return run.config.reset.timezone if run.config is not None else "UTC"


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)
