"""What is wrong with the parameters of a request, in the words of whoever wrote it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

TIME_WORDS = "must be a time in UTC, like 2026-11-21T07:19:46Z"


def sentence(error: ValidationError, method: str, known: Iterable[str]) -> str:
    """The first three of the errors in one sentence; `known`: the names of the parameters that the method takes."""
    parts = []
    # Never the input itself: it may be a key, and it may be a megabyte.
    for item in error.errors(include_url=False, include_input=False)[:3]:
        where = ".".join(str(step)[:64] for step in item["loc"])
        what = _in_words(item["type"], str(item["msg"]), item.get("ctx") or {}, method, known)
        parts.append(f"{where}: {what}" if where else what)
    said = "; ".join(dict.fromkeys(parts))
    return said if said.endswith(".") else f"{said}."


_WORDS = {
    "missing": "is missing",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text",
    "list_type": "must be a list",
    "dict_type": "must be a group of names and values",
    "string_pattern_mismatch": "is not written as it must be",
    "datetime_type": TIME_WORDS,
    "datetime_parsing": TIME_WORDS,
    "datetime_from_date_parsing": TIME_WORDS,
    "datetime_object_invalid": TIME_WORDS,
}
_BOUNDS = {
    "greater_than_equal": ("must be at least {}", "ge"),
    "greater_than": ("must be above {}", "gt"),
    "less_than_equal": ("must be at most {}", "le"),
    "less_than": ("must be below {}", "lt"),
    "string_too_short": ("must not be empty", "min_length"),
    "string_too_long": ("must have at most {} characters", "max_length"),
    "too_short": ("must have at least {} entry", "min_length"),
    "too_long": ("must have at most {} entries", "max_length"),
    "literal_error": ("must be one of {}", "expected"),
}


def _in_words(kind: str, said: str, context: Mapping[str, Any], method: str, known: Iterable[str]) -> str:
    """What the validator found, in a user's words."""
    if kind in _WORDS:
        return _WORDS[kind]
    if kind == "extra_forbidden":
        return f"is not known here; {method} takes {', '.join(known) or 'no parameters'}"
    if kind in _BOUNDS:
        words, name = _BOUNDS[kind]
        return words.format(str(context.get(name, "")).replace("'", ""))
    what = said.removeprefix("Value error, ")
    return what[:1].lower() + what[1:300]
