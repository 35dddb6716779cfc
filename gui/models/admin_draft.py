"""An edited risk_config.yaml: what the daemon holds, what the admin has changed, what is wrong with it.

A draft is plain values under the keys of the file. It knows which account takes a value over from the defaults, and
gives the patch that leads from the daemon's file to it. No Qt here.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from gui.models.admin_fields import Field, FieldKind, fields_of, plain, starting_value
from shared.config import RULE_MODELS, RiskConfig, merge_keys

_NUMBER = re.compile(r"-?\d+(\.\d+)?")
Path = tuple[str, ...]
Tree = dict[str, Any]

SECTIONS = ("reset", "policy", "logging", "ipc")
"""Groups of the file that are not rules and not accounts."""


class Draft:
    """`base` is what the daemon wishes for now, as `get_config` shows it."""

    def __init__(self, base: Mapping[str, Any]) -> None:
        self._base: Tree = _normal(base)
        self._now: Tree = copy.deepcopy(self._base)

    @property
    def tree(self) -> Tree:
        """The edited values; not to be changed directly."""
        return self._now

    @property
    def changed(self) -> bool:
        return self._now != self._base

    def reset(self, base: Mapping[str, Any] | None = None) -> None:
        """Forget all edits, and take over a newer file."""
        if base is not None:
            self._base = _normal(base)
        self._now = copy.deepcopy(self._base)

    def replace(self, tree: Mapping[str, Any]) -> None:
        """Edit to be this, as after reading another YAML text."""
        self._now = _normal(tree)

    # ---- reading

    def get(self, path: Sequence[str]) -> Any:
        """The value at a path, None where there is none."""
        inner: Any = self._now
        for step in path:
            inner = inner.get(step) if isinstance(inner, dict) else None
        return inner

    def rule(self, key: str, account: int | None = None) -> Tree | None:
        """A rule as it holds for an account (overrides merged over the defaults), or the default; None: not named."""
        base = self.get(("rules", key))
        if account is None:
            return base if isinstance(base, dict) else None
        over = self.get(("accounts", str(account), "rules", key))
        if not isinstance(over, dict):
            return base if isinstance(base, dict) else None
        return merge_keys(base if isinstance(base, dict) else {}, over)

    def enabled(self, key: str, account: int | None = None) -> bool:
        """Whether a rule is on."""
        rule = self.rule(key, account)
        return rule is not None and rule.get("enabled", True) is not False

    def overridden(self, account: int, path: Sequence[str]) -> bool:
        """Whether an account says something of its own at rules.`path`."""
        return self.get(("accounts", str(account), "rules", *path)) is not None

    def overrides(self, account: int) -> list[str]:
        """Keys of the rules for which an account says something of its own."""
        found = self.get(("accounts", str(account), "rules"))
        return [key for key, value in found.items() if value] if isinstance(found, dict) else []

    # ---- editing

    def set(self, path: Sequence[str], value: Any) -> None:
        """Put a value; None takes the key away, and what is then empty above it in an account's overrides."""
        inner: Tree = self._now
        for step in path[:-1]:
            below = inner.get(step)
            if not isinstance(below, dict):
                if value is None:
                    return
                below = inner[step] = {}
            inner = below
        if value is None:
            inner.pop(path[-1], None)
            if path[0] == "accounts":
                self._prune(path[:-1])
        else:
            inner[path[-1]] = _normal(value)

    def _prune(self, path: Sequence[str]) -> None:
        for depth in range(len(path), 1, -1):
            if self.get(path[:depth]) == {}:
                above = self.get(path[: depth - 1])
                del above[path[depth - 1]]

    def switch(self, key: str, on: bool, account: int | None = None) -> None:
        """Turn a rule on or off; one that was never named gets the values it needs."""
        place: Path = ("rules", key) if account is None else ("accounts", str(account), "rules", key)
        known = self.rule(key, account)
        if known is None and on:
            self.set(place, {**starting_value(RULE_MODELS[key]), "enabled": True})
        elif known is not None:
            self.set((*place, "enabled"), on)

    # ---- what came of it

    def patch(self) -> list[dict[str, Any]]:
        """Steps for set_config: every value that differs, one by one."""
        return list(_steps(self._base, self._now, ()))

    def errors(self) -> dict[Path, str]:
        """What is wrong, by path; empty when the draft would be accepted."""
        try:
            RiskConfig.model_validate(self._now)
        except ValidationError as error:
            found: dict[Path, str] = {}
            for entry in error.errors(include_url=False, include_input=False):
                words = _plainly(str(entry["msg"]))
                found.setdefault(tuple(str(step) for step in entry["loc"]), words)
            return found
        return {}


def _steps(old: Tree, new: Tree, path: Path) -> Iterator[dict[str, Any]]:
    for key in dict.fromkeys([*old, *new]):
        before, after = old.get(key), new.get(key)
        here = (*path, key)
        if before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _steps(before, after, here)
        else:
            yield {"path": list(here), "value": after}


def _normal(value: Any) -> Any:
    """JSON values with amounts as numbers; what the daemon sends as decimal text is an amount."""
    if isinstance(value, Mapping):
        return {str(step): _normal(below) for step, below in value.items()}
    if isinstance(value, list | tuple):
        return [_normal(item) for item in value]
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return plain(Decimal(value))
    return plain(value)


def _plainly(words: str) -> str:
    words = words.removeprefix("Value error, ")
    if words == "Field required":
        return "is missing"
    return words.replace("Input should be", "must be").replace("Input should", "must")


def rule_fields(key: str) -> list[Field]:
    """The settings of a rule, without its switch."""
    return [field for field in fields_of(RULE_MODELS[key]) if field.key != "enabled"]


def section_fields(key: str) -> list[Field]:
    """The settings of a section of the file."""
    return fields_of(_section_model(key))


def _section_model(key: str) -> Any:
    return RiskConfig.model_fields[key].annotation


def field_at(path: Sequence[str]) -> Field | None:
    """The setting that a path of the file leads to, for its label; None for what has none."""
    steps = [str(step) for step in path]
    if steps[:1] == ["accounts"] and len(steps) > 3:
        steps = steps[2:]
    if len(steps) < 2:
        return None
    model: Any = RULE_MODELS.get(steps[1]) if steps[0] == "rules" else None
    rest = steps[2:]
    if model is None:
        if steps[0] not in SECTIONS:
            return None
        model, rest = _section_model(steps[0]), steps[1:]
    found: Field | None = None
    for step in rest:
        if model is None:
            return found
        found = next((field for field in fields_of(model) if field.key == step), None)
        if found is None:
            return None
        model = found.model if found.kind in (FieldKind.GROUP, FieldKind.TABLE) else None
    return found
