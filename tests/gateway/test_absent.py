"""The SDK without polars and NumPy: what is used of it works, what is not says why it doesn't."""

from __future__ import annotations

import importlib
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

from daemon.gateway.absent import NotIncludedError, without

SDK = """
import sys
from daemon.gateway import projectx
from daemon.gateway.absent import NotIncludedError

loaded = {"polars", "numpy", "numpy.typing"} & set(sys.modules)
assert not loaded, loaded

from project_x_py.orderbook.base import pl
try:
    pl.DataFrame({"price": [1]})
except NotIncludedError as error:
    assert "polars" in str(error), error
else:
    raise AssertionError("a table without polars")

import numpy
assert numpy.float64(1.5) + 1 == 2.5
"""

SDK_WITH_THEM = """
import polars
from daemon.gateway import projectx
from project_x_py.orderbook.base import pl
assert pl is polars and pl.DataFrame({"price": [1]}).height == 1
"""


@pytest.mark.parametrize("program", [SDK, SDK_WITH_THEM])
def test_sdk_when_imported_takes_no_library_that_is_not_there_already(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_stand_ins_when_the_import_fails_are_taken_away() -> None:
    def fail() -> None:
        with without("risk_manager_no_such_module"):
            import risk_manager_no_such_module as module  # type: ignore[import-not-found]

            assert module.anything.at_all | None
            raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        fail()
    assert "risk_manager_no_such_module" not in sys.modules


def test_stand_ins_when_used_after_the_import_say_what_is_missing() -> None:
    with without("risk_manager_no_such_module"):
        table: Any = importlib.import_module("risk_manager_no_such_module").Table
    for use in (table, lambda: table.rows, lambda: table[0]):
        with pytest.raises(NotIncludedError, match=r"needs risk_manager_no_such_module,"):
            use()


def test_stand_ins_when_a_module_is_there_already_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    there = ModuleType("risk_manager_module")
    monkeypatch.setitem(sys.modules, "risk_manager_module", there)
    with without("risk_manager_module", "risk_manager_other"):
        import risk_manager_module as module  # type: ignore[import-not-found]

        assert module is there
        assert "risk_manager_other" not in sys.modules
