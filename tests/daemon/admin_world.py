"""A whole daemon with a key store in memory, and an admin's connection to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from shared.protocol import RpcError
from shared.rpc_client import RpcClient
from tests.gui.admin.stage import MemoryKeyring, daemon, key_store
from tests.gui.admin.stage import login as admin_login
from tests.scenarios.world import World, eventually


class Desk:
    """A daemon, its key store, an admin."""

    def __init__(self, world: World, keys: MemoryKeyring) -> None:
        self.world = world
        self.keys = keys
        self.admin: RpcClient

    async def log_in(self) -> None:
        """A session, once the second factor's store has been read."""
        await eventually(lambda: self.world.service.admin.factor.broken is None or self.keys.locked, "key store read")
        self.admin = await admin_login(self.world)

    async def call(self, method: str, **params: Any) -> Any:
        """A call of the admin."""
        return await self.admin.call(method, params, timeout=30.0)

    async def refused(self, method: str, **params: Any) -> RpcError:
        """The refusal of a call of the admin."""
        with pytest.raises(RpcError) as caught:
            await self.call(method, **params)
        return caught.value

    async def restart(self) -> None:
        """Stop the daemon and start it on the same home."""
        await self.admin.close()
        await self.world.stop()
        await self.world.start()
        await self.log_in()


@asynccontextmanager
async def desk(folder: Path, risk: Mapping[str, Any] | None = None, **more: Any) -> AsyncIterator[Desk]:
    """A running daemon with an admin logged in."""
    with key_store() as keys:
        async with daemon(folder, risk, **more) as world:
            made = Desk(world, keys)
            await made.log_in()
            try:
                yield made
            finally:
                await made.admin.close()
