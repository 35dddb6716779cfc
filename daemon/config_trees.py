"""Configurations as trees of plain values: to be stored, and to take single changes back."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from daemon.config_files import FILES, MODELS, Configuration, FileName, configuration_of
from daemon.config_state_store import StateUnreadable, seal, unseal
from shared.config import AccountsConfig, RiskConfig
from shared.config_changes import Change, tree_of


def plain_tree(part: BaseModel) -> dict[str, Any]:
    """All settings of a file as plain values, API keys among them: for the state, never for people."""
    tree = tree_of(part)
    if isinstance(part, AccountsConfig):
        for login, plain in zip(part.logins, tree["logins"], strict=True):
            plain["api_key"] = login.api_key.get_secret_value()
    return tree


def state_text(active: Configuration, wished: Configuration, effective_at: int | None, no_reset_before: int) -> str:
    """The sealed state; times are microseconds UTC, `effective_at` None: nothing waits."""
    return seal(
        {
            "active": {file: plain_tree(active.part(file)) for file in FILES},
            "wished": {file: plain_tree(wished.part(file)) for file in FILES},
            "effective_at": effective_at,
            "no_reset_before": no_reset_before,
        }
    )


def read_state(text: str) -> tuple[Configuration, Configuration, int | None, int]:
    """What `state_text` was made of. Raises StateUnreadable."""
    state = unseal(text)
    try:
        active, wished = (
            configuration_of({file: MODELS[file].model_validate(state[which][file]) for file in FILES})
            for which in ("active", "wished")
        )
        effective_at, no_reset_before = state["effective_at"], state["no_reset_before"]
    except (KeyError, TypeError, ValidationError) as error:
        raise StateUnreadable("the stored configuration does not fit this version of the program") from error
    if not isinstance(no_reset_before, int) or not isinstance(effective_at, int | None):
        raise StateUnreadable("the stored configuration state is damaged")
    return active, wished, effective_at, no_reset_before


def _by_login(part: BaseModel) -> dict[str, Any]:
    """Plain values of a part under the steps that `Change` uses: logins by user name."""
    tree = plain_tree(part)
    if isinstance(part, AccountsConfig):
        tree["logins"] = {
            plain["username"]: {key: value for key, value in plain.items() if key != "username"}
            for plain in tree["logins"]
        }
    return tree


def value_at(configuration: Configuration, file: FileName, change: Change) -> Any:
    """What ``change`` changed, as it is in force."""
    part = configuration.part(file)
    steps = change.steps
    if isinstance(part, RiskConfig) and steps[0] == "accounts":
        # Compared by what it amounts to, so it is taken back to that too.
        tree: Any = tree_of(part.rules_for(int(steps[1])))
        steps = steps[3:]
    else:
        tree = _by_login(part)
    for step in steps:
        tree = tree.get(step) if isinstance(tree, dict) else None
    return tree


def patched(part: BaseModel, patch: Sequence[Mapping[str, Any]]) -> BaseModel:
    """A part with other values: `patch` is [{"path": steps, "value": ...}], None removes. Raises ValidationError."""
    tree = _by_login(part)
    for entry in patch:
        *above, last = entry["path"]
        inner = tree
        for step in above:
            inner = inner.setdefault(step, {})
        if entry["value"] is None:
            inner.pop(last, None)
        else:
            inner[last] = entry["value"]
    if isinstance(part, AccountsConfig):
        tree["logins"] = [{"username": name, **login} for name, login in tree["logins"].items()]
    return type(part).model_validate(tree)
