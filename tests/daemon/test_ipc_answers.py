"""A list that is longer than a line may be comes as far as it fits, and says so."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.ipc_answers import answer_line
from shared.protocol import MAX_LINE, RpcError

ROW = {"id": 1, "text": "\u00e4" * 500}


def answered(result: object, request_id: int | str = 7) -> Any:
    line = answer_line(request_id, result)
    assert len(line) <= MAX_LINE and line.endswith(b"\n")
    answer = json.loads(line)
    assert answer["id"] == request_id
    return answer["result"]


@pytest.mark.parametrize("result", [[], [ROW], {"rows": [ROW], "intact": True}, {"a": 1}, None, "x", [1, [2]]])
def test_answer_that_fits_is_as_it_is(result: object) -> None:
    assert answered(result) == result


@pytest.mark.parametrize("request_id", [1, "x" * 100_000])
@pytest.mark.parametrize("as_object", [False, True])
def test_list_that_does_not_fit_is_cut_at_its_end(request_id: int | str, as_object: bool) -> None:
    rows = [{**ROW, "id": number} for number in range(3000)]
    got = answered({"rows": rows, "intact": True} if as_object else rows, request_id)
    assert got == {**({"intact": True} if as_object else {}), "rows": rows[: len(got["rows"])], "more": True}
    size = len(json.dumps(ROW, ensure_ascii=False).encode())
    assert len(got["rows"]) >= (MAX_LINE - len(str(request_id)) - 200) // (size + 4) - 1


@given(st.lists(st.integers(0, 400_000), min_size=1, max_size=8))
def test_answer_whatever_the_rows_fits_or_is_refused(sizes: list[int]) -> None:
    rows = ["x" * size for size in sizes]
    try:
        got = answered(rows)
    except RpcError:
        raise AssertionError("the first row fits") from None
    assert got == rows or (got["more"] is True and got["rows"] == rows[: len(got["rows"])] and got["rows"])


@pytest.mark.parametrize(
    "result", ["x" * MAX_LINE, {"rows": "x" * MAX_LINE}, ["x" * MAX_LINE, "y"], {"a": "x" * MAX_LINE}]
)
def test_answer_that_cannot_be_cut_is_refused(result: object) -> None:
    with pytest.raises(RpcError, match="longer than one line"):
        answer_line(1, result)
