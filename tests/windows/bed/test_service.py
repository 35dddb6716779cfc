"""The service from the source tree: the real nssm.exe, the Windows Python, the simulated gateway on the Linux side."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.windows.bed.gateway import GatewayThread
from tests.windows.bed.scenario import ServiceLife
from tests.windows.bed.windows import Windows

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayThread]:
    with GatewayThread() as running:
        yield running


@pytest.fixture(scope="module")
def windows() -> Windows:
    made = Windows([os.environ["WPY"], "-m", "daemon.windows"])
    made.prompt = [os.environ["WPY"], "-m", "daemon"]
    return made


class TestServiceFromSource(ServiceLife):
    daemon_word = "-m daemon run"
