"""One daemon a home: the second is refused in plain words, a predecessor that is just ending is waited for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from daemon.instance_lock import InstanceLock, claim
from daemon.start_error import StartError
from shared.paths import Home


async def test_home_that_is_claimed_already_is_refused_after_a_moments_patience(tmp_path: Path) -> None:
    home = Home(tmp_path)
    first = await claim(home)
    with pytest.raises(StartError, match="Another daemon already runs") as refused:
        await claim(home, patience=0.05)
    assert refused.value.exit_code == 1 and str(tmp_path) in str(refused.value)
    first.release()
    first.release()
    (await claim(home, patience=0.0)).release()


async def test_predecessor_that_is_ending_is_waited_for(tmp_path: Path) -> None:
    home = Home(tmp_path)
    first = await claim(home)
    asyncio.get_running_loop().call_later(0.1, first.release)
    second = await claim(home, patience=10.0)
    assert not InstanceLock(home.run / "daemon.lock").acquire()
    second.release()


async def test_home_that_cannot_be_used_is_named_with_the_mend(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    with pytest.raises(StartError, match="choose another with --home"):
        await claim(Home(tmp_path / "file" / "home"))
    home = Home(tmp_path / "home")
    home.create()
    (home.run / "daemon.lock").mkdir()
    with pytest.raises(StartError, match="is not writable"):
        await claim(home)
