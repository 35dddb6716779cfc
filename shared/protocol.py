"""JSON-RPC 2.0 over lines: messages, errors and the byte-fed line reader. No socket, no clock, no thread.

One UTF-8 JSON object per line, at most `MAX_LINE` bytes without its newline, in both directions. The state machines of
the two ends are in `shared.rpc_connection`, the methods and their parameters in `shared.rpc_methods`, the admin's
challenge-response in `shared.admin_auth`.

Errors:

    RpcError                  what either side answers: code, one plain sentence, optional data
    ├─ code -32700            not JSON
    ├─ code -32600            JSON, but no request (also: a batch, a line that is too long)
    ├─ code -32601            no such method
    ├─ code -32602            wrong parameters
    ├─ code -32603            the daemon failed; its log knows more
    ├─ code -32001            not authorized
    ├─ code -32002            unknown account
    ├─ code -32003            refused by policy; the sentence says which
    ├─ code -32004            the gateway can't be reached
    └─ code -32005            busy; `data.retry_after` says in seconds when to try again
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import IntEnum
from typing import Any

import orjson
from pydantic import BaseModel

MAX_LINE = 1024 * 1024
"""Longest line in bytes, its newline not counted."""

type Json = bool | int | float | str | list[Any] | dict[str, Any] | None
type RequestId = int | str | None

_MAX_ID_LENGTH = 256
_MAX_COMMAS = 20_000
_HTTP_START = re.compile(rb"^[A-Z]{3,10} \S{1,4096} HTTP/\d(\.\d)?\r?$")


class ErrorCode(IntEnum):
    """The codes of the contract; nothing else goes over the wire."""

    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL_ERROR = -32603
    NOT_AUTHORIZED = -32001
    UNKNOWN_ACCOUNT = -32002
    REFUSED_BY_POLICY = -32003
    GATEWAY_UNREACHABLE = -32004
    BUSY = -32005


class RpcError(Exception):
    """An error answer. Handlers raise it, clients get it raised.

    `message` is one plain sentence for a person; `data` is any JSON value or None.
    """

    def __init__(self, code: int, message: str, data: Json = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    def __repr__(self) -> str:
        return f"RpcError({self.code}, {self.message!r}, {self.data!r})"


@dataclass(frozen=True, slots=True)
class Request:
    """A well-formed request; the method may still be unknown and the parameters wrong.

    `params` is None when the member is absent. `auth` is the raw member, checked by `shared.admin_auth`.
    A notification (no `id` member) gets no answer.
    """

    method: str
    params: dict[str, Any] | None
    id: RequestId
    notification: bool
    auth: Any = None


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: exactly one of `result` (when `error` is None) and `error` counts."""

    id: RequestId
    result: Json
    error: RpcError | None


@dataclass(frozen=True, slots=True)
class Malformed:
    """A line that is no message; `id` is the request's where it could be read."""

    id: RequestId
    error: RpcError


@dataclass(frozen=True, slots=True)
class LineTooLong:
    """A line passed the limit; what belongs to it is thrown away as it comes."""

    limit: int


class LineReader:
    """Cuts a byte stream into lines. Holds at most one unfinished line of `limit` bytes.

    `feed` returns, in order, each finished line without its newline, and one `LineTooLong` for each line that is longer
    than the limit (at once, not only when its newline comes). Never raises, whatever the bytes.
    """

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._part = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> list[bytes | LineTooLong]:
        out: list[bytes | LineTooLong] = []
        start = 0
        while True:
            end = data.find(b"\n", start)
            piece_end = len(data) if end < 0 else end
            if not self._skipping:
                if len(self._part) + piece_end - start > self._limit:
                    out.append(LineTooLong(self._limit))
                    self._part = bytearray()
                    self._skipping = True
                elif end < 0:
                    self._part += data[start:]
                else:
                    out.append(bytes(self._part) + data[start:end] if self._part else data[start:end])
                    self._part = bytearray()
            if end < 0:
                return out
            self._skipping = False
            start = end + 1


def looks_like_http(line: bytes) -> bool:
    """Whether a line opens an HTTP request: a web page in a browser of this machine is talking to the port.

    Its body could carry a well-formed request, so the connection must be closed before that is read.
    """
    return _HTTP_START.match(line) is not None


def encode(value: object) -> bytes:
    """JSON bytes of a value. Decimal becomes a plain decimal string, an aware datetime fixed-width ISO-8601 UTC text.

    Raises TypeError for what has no JSON form (a naive datetime too: nobody could say what it means).
    """
    return orjson.dumps(value, default=_encode_other, option=orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_NON_STR_KEYS)


def _encode_other(value: object) -> object:
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise TypeError("a figure that is not finite has no JSON form")
        return format(value, "f")
    if isinstance(value, datetime):
        return utc_text(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, BaseModel):
        return value.model_dump(mode="python")
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def utc_text(moment: datetime) -> str:
    """Fixed-width UTC text, "2026-11-21T07:19:46.000000Z". Raises TypeError without a time zone."""
    if moment.tzinfo is None:
        raise TypeError("a time without a zone has no JSON form")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def request_line(
    method: str, params: Mapping[str, object] | None, request_id: RequestId, auth: Mapping[str, object] | None = None
) -> bytes:
    """A request with its newline."""
    message: dict[str, object] = {"jsonrpc": "2.0", "id": request_id, "method": method}
    if params is not None:
        message["params"] = params
    if auth is not None:
        message["auth"] = auth
    return encode(message) + b"\n"


def result_line(request_id: RequestId, result: object) -> bytes:
    """A successful answer with its newline. Raises TypeError when the result has no JSON form."""
    return encode({"jsonrpc": "2.0", "id": request_id, "result": result}) + b"\n"


def error_line(request_id: RequestId, error: RpcError) -> bytes:
    """An error answer with its newline."""
    body: dict[str, object] = {"code": int(error.code), "message": error.message}
    if error.data is not None:
        body["data"] = error.data
    return encode({"jsonrpc": "2.0", "id": request_id, "error": body}) + b"\n"


def parse_request(line: bytes | LineTooLong) -> Request | Malformed:
    """Reads one line as the server does. Never raises: whatever is wrong becomes a `Malformed` to answer with."""
    if isinstance(line, bytes) and line.count(b",") > _MAX_COMMAS:
        # Not even parsed: half a million empty lists would cost the daemon far more than they cost who sends them.
        return _malformed(ErrorCode.INVALID_REQUEST, "The line holds more values than any request needs.")
    return _parse_request(line)


def _parse_request(line: bytes | LineTooLong) -> Request | Malformed:
    if isinstance(line, LineTooLong):
        text = f"The line is longer than {line.limit} bytes; send less at a time."
        return _malformed(ErrorCode.INVALID_REQUEST, text)
    message = _load(line)
    if isinstance(message, Malformed):
        return message
    if isinstance(message, list):
        return _malformed(ErrorCode.INVALID_REQUEST, "Batches are not served; send one request per line.")
    if not isinstance(message, dict):
        return _malformed(ErrorCode.INVALID_REQUEST, "A request is a JSON object with jsonrpc, id, method and params.")
    request_id = message.get("id")
    if not _is_id(request_id):
        return _malformed(ErrorCode.INVALID_REQUEST, "The id must be a string, an integer or null.")
    if message.get("jsonrpc") != "2.0":
        return _malformed(ErrorCode.INVALID_REQUEST, 'The member jsonrpc must be "2.0".', request_id)
    method = message.get("method")
    if not isinstance(method, str) or not 0 < len(method) <= 128:
        return _malformed(ErrorCode.INVALID_REQUEST, "The member method must be the name of a method.", request_id)
    params = message.get("params")
    if isinstance(params, list) and not params:
        params = {}
    if isinstance(params, list):
        return _malformed(ErrorCode.INVALID_PARAMS, "Parameters go by name, in a JSON object.", request_id)
    if params is not None and not isinstance(params, dict):
        return _malformed(ErrorCode.INVALID_REQUEST, "The member params must be a JSON object.", request_id)
    return Request(method, params, request_id, "id" not in message, message.get("auth"))


def parse_message(line: bytes | LineTooLong) -> Response | Request | Malformed:
    """Reads one line as a client does: an answer, or a notification (a `Request` without id). Never raises."""
    if isinstance(line, bytes):
        message = _load(line)
        if isinstance(message, dict) and "method" not in message and ("result" in message or "error" in message):
            return _parse_response(message)
    return _parse_request(line)


def _parse_response(message: dict[str, Any]) -> Response | Malformed:
    request_id = message.get("id")
    if not _is_id(request_id):
        return _malformed(ErrorCode.INVALID_REQUEST, "The answer's id is neither a string nor an integer nor null.")
    if "error" not in message:
        return Response(request_id, message["result"], None)
    body = message["error"]
    if not isinstance(body, dict) or type(body.get("code")) is not int or not isinstance(body.get("message"), str):
        return _malformed(ErrorCode.INVALID_REQUEST, "The error answer has no code and message.", request_id)
    return Response(request_id, None, RpcError(body["code"], body["message"], body.get("data")))


def _load(line: bytes) -> Json | Malformed:
    # orjson refuses nesting beyond 1,024 levels, NaN, infinities and bad UTF-8 by itself, without recursion.
    try:
        return orjson.loads(line)  # type: ignore[no-any-return]
    except orjson.JSONDecodeError as error:
        return _malformed(ErrorCode.PARSE_ERROR, f"The line is not JSON: {error.msg[:120]}.")


def _is_id(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= _MAX_ID_LENGTH
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _malformed(code: ErrorCode, message: str, request_id: RequestId = None) -> Malformed:
    return Malformed(request_id, RpcError(code, message))
