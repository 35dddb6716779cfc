"""Lines and messages: what comes in pieces, too long, too deep or broken is answered, never raised."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.protocol import (
    MAX_LINE,
    ErrorCode,
    LineReader,
    LineTooLong,
    Malformed,
    Request,
    Response,
    RpcError,
    encode,
    error_line,
    looks_like_http,
    parse_message,
    parse_request,
    request_line,
    result_line,
)
from tests.shared.notifications import notification_line

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Pieces of data, cut at the places (taken modulo its length)."""
    marks = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(marks)]


@given(
    st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=8), st.lists(st.integers(0))
)
def test_line_reader_when_stream_is_cut_anywhere_returns_the_same_lines(lines: list[bytes], places: list[int]) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    reader = LineReader()
    assert [line for piece in cut(stream, places) for line in reader.feed(piece)] == lines


@given(st.lists(st.integers(0, 12), max_size=8), st.lists(st.integers(0)))
def test_line_reader_when_lines_pass_the_limit_reports_each_once_and_goes_on(
    sizes: list[int], places: list[int]
) -> None:
    stream = b"".join(b"x" * size + b"\n" for size in sizes)
    reader = LineReader(limit=5)
    got = [line for piece in cut(stream, places) for line in reader.feed(piece)]
    assert got == [b"x" * size if size <= 5 else LineTooLong(5) for size in sizes]


def test_line_reader_when_a_line_has_exactly_the_limit_returns_it() -> None:
    reader = LineReader()
    assert reader.feed(b"x" * MAX_LINE) == []
    assert reader.feed(b"\n") == [b"x" * MAX_LINE]
    assert reader.feed(b"x" * (MAX_LINE + 1)) == [LineTooLong(MAX_LINE)]
    assert reader.feed(b"y" * MAX_LINE * 2) == []
    assert reader.feed(b"\n{}\n") == [b"{}"]


@given(st.binary(max_size=300))
def test_parse_when_bytes_are_random_never_raises(data: bytes) -> None:
    assert isinstance(parse_request(data), Request | Malformed)
    assert isinstance(parse_message(data), Request | Response | Malformed)


@given(json_values)
def test_parse_when_json_is_random_answers_with_a_code_of_the_contract(value: Any) -> None:
    parsed = parse_request(json.dumps(value).encode())
    assert isinstance(parsed, Malformed)
    assert parsed.error.code in (ErrorCode.INVALID_REQUEST, ErrorCode.INVALID_PARAMS)


@pytest.mark.parametrize(
    ("line", "code", "request_id"),
    [
        (b"", ErrorCode.PARSE_ERROR, None),
        (b"{", ErrorCode.PARSE_ERROR, None),
        (b"\xff\xfe", ErrorCode.PARSE_ERROR, None),
        (b"\xef\xbb\xbf{}", ErrorCode.PARSE_ERROR, None),
        (b'{"id": NaN}', ErrorCode.PARSE_ERROR, None),
        (b"[" * 100_000, ErrorCode.PARSE_ERROR, None),
        (b'{"a":' * 100_000, ErrorCode.PARSE_ERROR, None),
        (b"[" * 500 + b"]" * 500, ErrorCode.INVALID_REQUEST, None),
        (b"9" * 5000, ErrorCode.PARSE_ERROR, None),
        (b"1" * 200, ErrorCode.INVALID_REQUEST, None),
        (b"[]", ErrorCode.INVALID_REQUEST, None),
        (b'[{"jsonrpc":"2.0","id":1,"method":"get_status"}]', ErrorCode.INVALID_REQUEST, None),
        (b"null", ErrorCode.INVALID_REQUEST, None),
        (b'{"id":7,"method":"get_status"}', ErrorCode.INVALID_REQUEST, 7),
        (b'{"jsonrpc":"1.0","id":7,"method":"get_status"}', ErrorCode.INVALID_REQUEST, 7),
        (b'{"jsonrpc":"2.0","id":7}', ErrorCode.INVALID_REQUEST, 7),
        (b'{"jsonrpc":"2.0","id":7,"method":5}', ErrorCode.INVALID_REQUEST, 7),
        (b'{"jsonrpc":"2.0","id":7,"method":""}', ErrorCode.INVALID_REQUEST, 7),
        (b'{"jsonrpc":"2.0","id":"a","method":"x","params":5}', ErrorCode.INVALID_REQUEST, "a"),
        (b'{"jsonrpc":"2.0","id":7,"method":"x","params":[1]}', ErrorCode.INVALID_PARAMS, 7),
        (b'{"jsonrpc":"2.0","id":true,"method":"x"}', ErrorCode.INVALID_REQUEST, None),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"x"}', ErrorCode.INVALID_REQUEST, None),
        (b'{"jsonrpc":"2.0","id":99999999999999999999999,"method":"x"}', ErrorCode.INVALID_REQUEST, None),
        (b'{"jsonrpc":"2.0","id":{},"method":"x"}', ErrorCode.INVALID_REQUEST, None),
    ],
)
def test_parse_when_a_line_is_bad_names_code_and_id(line: bytes, code: int, request_id: object) -> None:
    parsed = parse_request(line)
    assert isinstance(parsed, Malformed)
    assert (parsed.error.code, parsed.id) == (code, request_id)
    assert len(error_line(parsed.id, parsed.error)) < 1000


def test_parse_when_a_line_holds_very_many_values_refuses_it_from_a_client_and_reads_it_from_the_daemon() -> None:
    many = b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":[' + b"[]," * 200_000 + b"1]}}"
    parsed = parse_request(many)
    assert isinstance(parsed, Malformed)
    assert parsed.error.code == ErrorCode.INVALID_REQUEST
    assert isinstance(parse_message(notification_line("event", {"data": [0] * 200_000})), Request)


def test_parse_when_id_is_missing_is_a_notification_and_null_is_not() -> None:
    without = parse_request(b'{"jsonrpc":"2.0","method":"x"}')
    null = parse_request(b'{"jsonrpc":"2.0","method":"x","id":null}')
    assert isinstance(without, Request)
    assert isinstance(null, Request)
    assert (without.notification, null.notification) == (True, False)


@given(
    st.integers(1, 2**53) | st.text(min_size=1, max_size=50),
    st.dictionaries(st.text(max_size=8), json_values, max_size=4),
)
def test_request_when_sent_and_parsed_is_the_same(request_id: int | str, params: dict[str, Any]) -> None:
    line = request_line("get_pnl", params, request_id, {"seq": 1, "mac": "ab"})
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert parse_request(line[:-1]) == Request("get_pnl", params, request_id, False, {"seq": 1, "mac": "ab"})


@given(json_values)
def test_answers_when_sent_and_parsed_are_the_same(value: Any) -> None:
    assert parse_message(result_line(5, value)[:-1]) == Response(5, value, None)
    parsed = parse_message(error_line("a", RpcError(-32005, "busy", value))[:-1])
    assert isinstance(parsed, Response)
    assert parsed.error is not None
    assert (parsed.id, parsed.error.code, parsed.error.message, parsed.error.data) == ("a", -32005, "busy", value)


@pytest.mark.parametrize(
    "line",
    [b'{"jsonrpc":"2.0","id":1,"error":5}', b'{"error":{"code":"x","message":"y"}}', b'{"id":[],"result":1}'],
)
def test_answer_when_broken_is_malformed(line: bytes) -> None:
    assert isinstance(parse_message(line), Malformed)


def test_notification_when_parsed_by_a_client_is_a_request_without_id() -> None:
    parsed = parse_message(notification_line("event", {"topic": "pnl"})[:-1])
    assert parsed == Request("event", {"topic": "pnl"}, None, True)


def test_encode_when_money_and_times_writes_the_contract_forms() -> None:
    berlin = datetime(2026, 11, 21, 8, 19, 46, tzinfo=timezone(timedelta(hours=1)))
    value = {"money": Decimal("-510.740"), "small": Decimal("1E-7"), "at": berlin, 101: None}
    assert json.loads(encode(value)) == {
        "money": "-510.740",
        "small": "0.0000001",
        "at": "2026-11-21T07:19:46.000000Z",
        "101": None,
    }


@pytest.mark.parametrize("value", [datetime(2026, 1, 1), Decimal("NaN"), object(), 2**64])  # noqa: DTZ001
def test_encode_when_a_value_has_no_json_form_raises_type_error(value: object) -> None:
    with pytest.raises(TypeError):
        encode({"x": value})


def test_encode_when_time_is_utc_keeps_its_width() -> None:
    assert encode(datetime(2026, 1, 1, tzinfo=UTC)) == b'"2026-01-01T00:00:00.000000Z"'


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"GET / HTTP/1.1\r", True),
        (b"POST /x?y HTTP/1.0", True),
        (b"OPTIONS * HTTP/2\r", True),
        (b'{"jsonrpc":"2.0","method":"GET / HTTP/1.1"}', False),
        (b"GET", False),
    ],
)
def test_http_when_a_browser_comes_is_recognised(line: bytes, expected: bool) -> None:
    assert looks_like_http(line) is expected


@settings(max_examples=30)
@given(st.integers(1000, 1100))
def test_parse_when_nesting_is_at_the_edge_of_the_parser_answers(depth: int) -> None:
    line = b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":' + b"[" * depth + b"]" * depth + b"}}"
    assert isinstance(parse_request(line), Request | Malformed)
