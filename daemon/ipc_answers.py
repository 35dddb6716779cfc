"""Answers as lines of the socket. A list that is longer than a line may be is answered as far as it fits."""

from __future__ import annotations

import orjson

from shared.protocol import MAX_LINE, ErrorCode, RequestId, RpcError, encode, result_line


def answer_line(request_id: RequestId, result: object) -> bytes:
    """The answer with its newline, `MAX_LINE` bytes at most.

    A list, or an object with the list "rows", that does not fit comes as an object whose "rows" are the first that do,
    with "more" true.

    Raises:
        RpcError: something else is too long, or a single row is.
        TypeError: the result has no JSON form.
    """
    line = result_line(request_id, result)
    if len(line) <= MAX_LINE:
        return line
    around = {**(result if isinstance(result, dict) else {}), "rows": [], "more": True}
    rows = result.get("rows") if isinstance(result, dict) else result
    fitting: list[orjson.Fragment] = []
    room = MAX_LINE - len(result_line(request_id, around))
    for row in rows if isinstance(rows, list) else ():
        data = encode(row)
        room -= len(data) + 1
        if room < 0:
            break
        fitting.append(orjson.Fragment(data))
    if not fitting:
        raise RpcError(ErrorCode.INVALID_PARAMS, "The answer is longer than one line may be; ask for less.")
    return result_line(request_id, {**around, "rows": fitting})
