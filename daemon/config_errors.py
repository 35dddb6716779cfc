"""Configuration errors as plain sentences: what is wrong, in which file and line, at which key, and how to mend it."""

import types
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from daemon.config_yaml import Document, Path
from shared.config_fields import closest


@dataclass(frozen=True)
class ConfigError:
    """One error. ``line`` counts from 1 (None: the whole file), ``path`` is dotted ("rules.max_contracts.limit")."""

    file: str
    line: int | None
    path: str
    message: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}, line {self.line}"
        sentence = f"{self.path} {self.message}".strip()
        return f"{place}: {sentence}" if sentence.endswith("?") else f"{place}: {sentence}."


class ConfigErrors(Exception):  # noqa: N818 - a set of errors
    """All errors found, in the order of files and lines; ``str()`` is one sentence a line."""

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(str(error) for error in self.errors))


_LONGEST_KEY = 60


def dotted(path: Iterable[str | int]) -> str:
    """A path as people write it: ``logins[0].accounts``, ``rules.max_contracts.limit``."""
    text = ""
    for step in path:
        shown = step if isinstance(step, int) or len(step) <= _LONGEST_KEY else f"{step[: _LONGEST_KEY - 3]}..."
        text += f"[{shown}]" if isinstance(shown, int) else f".{shown}" if text else shown
    return text


def explain(error: ValidationError, model: type[BaseModel], file: str, document: Document) -> list[ConfigError]:
    """The sentences for all errors that validating ``document`` gave."""
    found = []
    entries = error.errors(include_url=False)
    misspelt = _misspelt(entries, model)
    for entry in entries:
        path: Path = tuple(step for step in entry["loc"] if step != "[key]")
        if entry["type"] == "missing" and path in misspelt:
            continue  # it is there, written otherwise: one mistake, one error
        message = _message(dict(entry), path, model)
        if message is not None:
            found.append(ConfigError(file, document.line_of(path), dotted(path), message))
    return found


def _misspelt(entries: Iterable[Any], model: type[BaseModel]) -> set[Path]:
    """Paths of the keys that were meant by keys that are not known."""
    meant: set[Path] = set()
    for entry in entries:
        path: Path = tuple(entry["loc"])
        if entry["type"] == "extra_forbidden":
            near = closest(str(path[-1]), keys_at(model, path[:-1]))
            if near:
                meant.add((*path[:-1], near))
    return meant


_EXAMPLES = {
    "greater_than": "above",
    "less_than": "below",
    "greater_than_equal": "at least",
    "less_than_equal": "at most",
}


def _message(entry: dict[str, Any], path: Path, model: type[BaseModel]) -> str | None:
    kind, context, value = entry["type"], entry.get("ctx") or {}, entry.get("input")
    said = "" if "api_key" in path else _shown(value)
    instead = f", not {said}" if said else ""
    if value is None and kind != "missing":
        return None  # `daemon.config_loader` reports every key without a value itself
    if kind == "missing":
        return "is missing; add it"
    if kind == "extra_forbidden":
        return _unknown_key(path, model)
    if kind in _EXAMPLES:
        bound = next(iter(context.values()))
        mend = ""
        if kind == "less_than" and bound == 0 and isinstance(value, int | Decimal) and value > 0:
            mend = f"; a loss is written as a negative amount, such as -{value}"
        elif kind == "greater_than" and bound == 0 and isinstance(value, int | Decimal) and value < 0:
            mend = f"; write it without the minus, {-value}"
        return f"must be {_EXAMPLES[kind]} {bound}{instead}{mend}"
    if kind in {"literal_error", "enum"}:
        return f"must be {_choices(str(context.get('expected', '')))}{instead}{_meant(value, context)}"
    if kind in {"model_type", "model_attributes_type", "dict_type"}:
        return f"must be a group of keys below it{instead}"
    if kind in {"tuple_type", "list_type"}:
        return f"must be a list, written as [a, b]{instead}"
    if kind == "string_too_short":
        return "must not be empty; write it out, in quotes"
    if kind in {"string_type", "string_too_long"}:
        limit = f" of at most {context['max_length']} characters" if kind == "string_too_long" else ""
        return f"must be text{limit}{instead if kind == 'string_type' else ''}; put it in quotes"
    if kind in {"int_parsing", "int_type", "int_from_float"}:
        return f"must be a whole number{instead}"
    if kind == "too_short":
        return f"must have at least {context.get('min_length')} entry"
    if kind == "too_long":
        return f"must have at most {context.get('max_length')} entries"
    if kind in {"flag", "whole_number", "money", "time_of_day", "loopback", "symbol", "accounts"}:
        return f"{entry['msg']}{instead}"
    return str(entry["msg"])


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal | float):
        return str(value)[:40]
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= 40 else f'"{value[:37]}..."'
    if isinstance(value, list | tuple):
        items = ", ".join(item if isinstance(item, str) else _shown(item) for item in value)
        return f"[{items}]" if len(items) <= 40 else "such a list"
    return "a group of keys" if isinstance(value, dict) else ""


def _choices(expected: str) -> str:
    return expected.replace("'", "").replace('"', "")


def _meant(value: object, context: dict[str, Any]) -> str:
    words = [word.strip() for word in _choices(str(context.get("expected", ""))).replace(" or ", ", ").split(",")]
    near = closest(value, words) if isinstance(value, str) else None
    return f"; did you mean {near}?" if near and near != value else ""


def _unknown_key(path: Path, model: type[BaseModel]) -> str:
    key, known = str(path[-1]), keys_at(model, path[:-1])
    near = closest(key, known)
    if near:
        return f"is not a known key; did you mean {near}?"
    above = keys_elsewhere(model, key)
    if above:
        return f"is not a known key here; it belongs below {above}"
    listing = f"; known keys here are {', '.join(known)}" if 0 < len(known) <= 12 else ""
    return f"is not a known key{listing}"


def keys_at(model: type[BaseModel], path: Path) -> list[str]:
    """Keys a group at ``path`` may have; empty where any key is allowed."""
    place: object = model
    steps = list(path)
    if steps[:1] == ["accounts"] and "rules" in steps[2:3]:
        steps = steps[2:]  # an override has the keys of `rules`
    for step in steps:
        models = _models_in(place)
        for candidate in models:
            if isinstance(step, str) and step in candidate.model_fields:
                place = candidate.model_fields[step].annotation
                break
    models = _models_in(place)
    return list(models[0].model_fields) if models else []


def keys_elsewhere(model: type[BaseModel], key: str, prefix: Path = ()) -> str | None:
    """Dotted path of the first group that does know ``key``."""
    for name, info in model.model_fields.items():
        for below in _models_in(info.annotation):
            if key in below.model_fields:
                return dotted((*prefix, name))
            found = keys_elsewhere(below, key, (*prefix, name))
            if found:
                return found
    return None


def _models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in {Union, types.UnionType, dict, tuple, list} or get_args(annotation):
        return [model for part in get_args(annotation) for model in _models_in(part)]
    return []
