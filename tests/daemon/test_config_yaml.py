"""Reading YAML: values as people mean them, lines of everything, and every mistake that can be told apart."""

from decimal import Decimal
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from daemon.config_yaml import MAX_BYTES, MAX_DEPTH, Document, decode, read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("-500", -500),
        ("+3", 3),
        ("1_000", 1000),
        ("010", 10),
        ("-250.50", Decimal("-250.50")),
        (".5", Decimal("0.5")),
        ("1e3", Decimal(1000)),
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("NO", "NO"),
        ("on", "on"),
        ("17:00", "17:00"),
        ("61200", 61200),
        ("2026-12-25", "2026-12-25"),
        ("0x10", "0x10"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("6E", "6E"),
        ("'5'", "5"),
        ('"true"', "true"),
        ("''", ""),
        ("~", None),
        ("null", None),
        ("9" * 60, "9" * 60),
        ("1" + "e9" * 30, "1" + "e9" * 30),
        ("1e999999999", "1e999999999"),
    ],
)
def test_read_when_scalar_is_plain_or_quoted_gives_what_is_meant(text: str, value: object) -> None:
    found = read(f"key: {text}").value["key"]
    assert found == value
    assert type(found) is type(value)


def test_read_when_nested_knows_the_line_of_every_key_and_item() -> None:
    document = read("# first\na: 1\nb:\n  c: [x,\n      y]\n  d:\n    - e: 1\n    - e: 2\n")
    assert document.value == {"a": 1, "b": {"c": ["x", "y"], "d": [{"e": 1}, {"e": 2}]}}
    assert document.line_of(("a",)) == 2
    assert document.line_of(("b", "c", 1)) == 5
    assert document.line_of(("b", "d", 1, "e")) == 8
    assert document.line_of(("b", "nowhere", "at all")) == 3
    assert document.mistakes == []


def test_read_when_keys_come_twice_tells_each_and_keeps_the_first() -> None:
    document = read("a: 1\nb:\n  c: 1\n  c: {d: 2}\na: {x: 1}\n")
    assert document.value == {"a": 1, "b": {"c": 1}}
    assert [(found.line, found.path) for found in document.mistakes] == [(4, ("b", "c")), (5, ("a",))]
    assert "first in line 3" in document.mistakes[0].message


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: 1\n\tb: 2", 2, "begins with a tab"),
        ("a:\n  \t b: 2", 2, "begins with a tab"),
        ("a: 'x", 1, "quote that is never closed"),
        ("a: [1, 2\nb: 3", 1, "opens a ["),
        ("a: {b: 1\nc: 2", 1, "opens a {"),
        ("a: b: c", 1, "colon where none can be"),
        ("a:\n    b: 1\n  c: 2", 3, "not indented like"),
        ("a: 1\nb", 2, "no complete entry"),
        ("a: @b", 1, "cannot begin a value"),
        ("a: `b`", 1, "cannot begin a value"),
        ("a: *b", 1, "alias"),
        ("a: &b 1\nc: *b", 2, "alias"),
        ("<<: {a: 1}", 1, "merge key"),
        ("a: !!python/name:os.system", 1, "tag"),
        ("a: !secret x", 1, "tag"),
        ("a: 1\n---\nb: 2", 2, "second document"),
        ("? [a, b]\n: 1", 1, "list or mapping as a key"),
        ("a: \x07", 1, "control character (code 7)"),
        ('a: "\\q"', 1, "backslash"),
        ("[" * (MAX_DEPTH + 2), 1, "levels deep"),
        ("a: %b", 1, "cannot begin a value"),
    ],
)
def test_read_when_text_is_wrong_says_where_and_what(text: str, line: int, said: str) -> None:
    mistakes = read(text).mistakes
    assert len(mistakes) == 1
    assert mistakes[0].line == line
    assert said in mistakes[0].message


def test_read_when_tabs_are_in_several_lines_names_all_but_those_in_comments() -> None:
    assert [found.line for found in read("a:\n\tb: 1\n\t# c\n\t\n\td: 1").mistakes] == [2, 5]


def test_read_when_a_value_is_left_out_is_told() -> None:
    document = read("a:\nb: {c: , d: ~}\ne: [1, ]")
    assert document.nulls == [("a",), ("b", "c"), ("b", "d")]


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "\ufeff"])
def test_read_when_text_is_empty_has_no_value(text: str) -> None:
    document = read(text)
    assert document.value is None
    assert document.mistakes == []


def test_read_when_text_begins_with_a_byte_order_mark_ignores_it() -> None:
    assert read("\ufeffa: 1").value == {"a": 1}


@pytest.mark.parametrize(
    ("data", "said", "line"),
    [
        (b"a: \xff", "not UTF-8", 1),
        (b"a: 1\nb: \xe4\n", "not UTF-8", 2),
        ("a: 1".encode("utf-16"), "UTF-16", None),
        (b"#" * (MAX_BYTES + 1), "larger than", None),
    ],
)
def test_decode_when_bytes_are_no_text_says_why(data: bytes, said: str, line: int | None) -> None:
    text, mistakes = decode(data)
    assert text == ""
    assert said in mistakes[0].message
    assert mistakes[0].line == line


def test_decode_when_bytes_have_a_byte_order_mark_takes_it_off() -> None:
    assert decode(b"\xef\xbb\xbfa: 1") == ("a: 1", [])


_keys = st.text("abcd", min_size=1, max_size=3)
_plain: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text("abc xyz:#-'\"[]{}é", max_size=8),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(_keys, below, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(_keys, _plain, max_size=3), st.booleans())
def test_read_when_any_values_were_written_by_another_program_gives_them_back(
    value: dict[str, Any], flow: bool
) -> None:
    document = read(yaml.safe_dump(value, allow_unicode=True, default_flow_style=flow))
    assert document.mistakes == []
    assert document.value == (value or {})


@given(st.text(max_size=60) | st.text("ab:-[]{}'\"#&*!|>%@`\n \t,?~0", max_size=40))
def test_read_when_text_is_anything_never_raises(text: str) -> None:
    assert isinstance(read(text), Document)
