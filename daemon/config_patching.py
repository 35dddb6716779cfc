"""Changes the text of a configuration file without losing comments, order or quotes."""

import datetime as dt
import io
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from daemon.config_writing import Patch, PatchError


def patched(text: str, patch: Patch) -> str:
    """See `daemon.config_writing.patch_text`, which is what to call."""
    yaml = YAML()
    yaml.representer.add_representer(
        Decimal, lambda form, value: form.represent_scalar("tag:yaml.org,2002:float", format(value, "f"))
    )
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    try:
        tree = yaml.load(text)
    except YAMLError:
        raise PatchError("the present file is not valid YAML; correct it, or replace it as a whole") from None
    if tree is None:
        tree = CommentedMap()
    if not isinstance(tree, CommentedMap):
        raise PatchError("the present file does not consist of keys and values; replace it as a whole")
    if isinstance(patch, Mapping):
        _merge(tree, patch)
    elif isinstance(patch, Sequence) and not isinstance(patch, str):
        for step in patch:
            if not isinstance(step, Mapping) or set(step) != {"path", "value"}:
                raise PatchError('each entry of the patch must be {"path": ..., "value": ...}')
            _set(tree, _steps(step["path"]), step["value"])
    else:
        raise PatchError("the patch must be a mapping, or a list of paths and values")
    out = io.StringIO()
    yaml.dump(tree, out)
    return out.getvalue()


def _key_of(tree: CommentedMap, step: str) -> Any:
    """The key of ``tree`` that is written ``step``: account ids and dates are not texts in YAML."""
    return next((key for key in tree if str(key) == step), step)


def _merge(tree: CommentedMap, patch: Mapping[str, Any]) -> None:
    for written, value in patch.items():
        key = _key_of(tree, str(written))
        if value is None:
            tree.pop(key, None)
        elif isinstance(value, Mapping):
            if not isinstance(tree.get(key), CommentedMap):
                tree[_new_key(key)] = CommentedMap()
            _merge(tree[key if key in tree else _new_key(key)], value)
        else:
            _assign(tree, key, value)


def _steps(path: object) -> list[str]:
    steps = path.split(".") if isinstance(path, str) else path
    if isinstance(steps, list | tuple) and steps and all(isinstance(step, str | int) and step != "" for step in steps):
        return [str(step) for step in steps]
    raise PatchError("a path must be written as in rules.daily_realized_loss.limit")


def _set(tree: Any, steps: Sequence[str], value: Any) -> None:
    path = ".".join(steps)
    for step in steps[:-1]:
        if isinstance(tree, CommentedMap):
            key = _key_of(tree, step)
            if not isinstance(tree.get(key), CommentedMap | CommentedSeq):
                if value is None:
                    return
                key = _new_key(key)
                tree[key] = CommentedMap()
            tree = tree[key]
        else:
            tree = _item(tree, step, path)
    last = steps[-1]
    if isinstance(tree, CommentedSeq):
        index = _index(tree, last)
        if index is None and isinstance(value, Mapping) and not last.isdecimal():
            tree.fa.set_block_style()
            tree.append(_plain({"username": last, **value}))
        elif index is None:
            raise PatchError(f"the path {path} leads nowhere: there is no {last}")
        elif value is None:
            del tree[index]
        else:
            named = {"username": last, **value} if isinstance(value, Mapping) and not last.isdecimal() else value
            tree[index] = _plain(named)
    elif value is None:
        tree.pop(_key_of(tree, last), None)
    else:
        _assign(tree, _key_of(tree, last), value)


def _index(items: CommentedSeq, step: str) -> int | None:
    if step.isdecimal() and int(step) < len(items):
        return int(step)
    for index, item in enumerate(items):
        if isinstance(item, CommentedMap) and str(item.get("username", "")).casefold() == step.casefold():
            return index
    return None


def _item(items: Any, step: str, path: str) -> Any:
    index = _index(items, step) if isinstance(items, CommentedSeq) else None
    if index is None:
        raise PatchError(f"the path {path} leads nowhere: there is no {step}")
    return items[index]


def _new_key(key: Any) -> Any:
    return int(key) if isinstance(key, str) and key.isdecimal() else key


def _assign(tree: CommentedMap, key: Any, value: Any) -> None:
    tree[key if key in tree else _new_key(key)] = _plain(value)


def _plain(value: Any) -> Any:
    """A value in the form in which it is written: exact numbers, times of day in quotes."""
    if isinstance(value, Mapping):
        return CommentedMap((_new_key(str(key)), _plain(below)) for key, below in value.items() if below is not None)
    if isinstance(value, list | tuple):
        items = CommentedSeq(_plain(item) for item in value)
        if not any(isinstance(item, CommentedMap) for item in items):
            items.fa.set_flow_style()
        return items
    if isinstance(value, Decimal | float):
        exact = Decimal(str(value))
        return int(exact) if exact == exact.to_integral_value() else exact
    if isinstance(value, dt.time):
        return DoubleQuotedScalarString(value.strftime("%H:%M"))
    if isinstance(value, str) and (":" in value or not value.isascii() or value.strip() != value):
        return DoubleQuotedScalarString(value)
    return value
