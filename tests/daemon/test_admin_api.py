"""The admin window's methods on a real daemon over a real socket."""

from __future__ import annotations

import asyncio
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyotp
import pytest

from shared.protocol import ErrorCode, RpcError
from shared.rpc_client import Event, RpcClient, Snapshot
from shared.rpc_methods import METHODS, SERVED_BY_THE_SOCKET
from tests.daemon.admin_world import Desk, desk
from tests.scenarios.world import eventually

EXAMPLES: dict[str, dict[str, Any]] = {
    "set_config": {"patch": {"rules": {"daily_realized_loss": {"limit": -9000}}}},
    "set_credential": {"username": "trader1", "api_key": "k"},
    "test_connection": {"username": "trader1"},
    "clear_lockout": {"id": 1, "reason": "please"},
    "cancel_pending_config": {"id": "00"},
    "stop_daemon": {"reason": "off"},
    "second_factor_confirm": {"code": "123456"},
    "auth_second_factor": {"code": "123456"},
    "lock_accounts": {"minutes": 5, "reason": "x"},
    "set_alert_target": {"name": "n", "kinds": ["error"], "address": "json://127.0.0.1"},
    "remove_alert_target": {"name": "n"},
    "test_alert_target": {"name": "n"},
    "restore_backup": {"file": "state-20260101T000000Z.db"},
    "what_if": {"day": "2026-12-02", "patch": {}},
}


async def test_admin_methods_when_there_is_no_session_are_all_refused_and_change_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        engine = here.world.service.engine
        before = engine.config
        stranger = RpcClient(here.world.home.endpoint)
        await stranger.connect()
        admin_methods = [name for name, method in METHODS.items() if method.admin]
        assert set(EXAMPLES) <= set(admin_methods)
        for name in admin_methods:
            with pytest.raises(RpcError) as refused:
                await stranger.call(name, EXAMPLES.get(name, {}))
            assert refused.value.code == ErrorCode.NOT_AUTHORIZED, name
        with pytest.raises(RpcError) as refused:
            await stranger.call("subscribe", {"topics": ["log"]})
        assert refused.value.code == ErrorCode.NOT_AUTHORIZED
        await stranger.close()
        assert engine.config == before
        assert not any(account.locks for account in engine.accounts.values())
        assert here.world.service.status() == "healthy"
        served = set(here.world.service.api.handlers()) | set(here.world.service.admin.handlers())
        assert set(METHODS) - SERVED_BY_THE_SOCKET == served


async def test_second_factor_when_enrolled_is_asked_for_by_what_loosens_alone(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        assert (await here.call("get_second_factor"))["enrolled"] is False
        made = await here.call("second_factor_enroll")
        totp = pyotp.TOTP(made["secret"])
        now = here.world.service.clock.now
        wrong = await here.refused("second_factor_confirm", code="000000")
        assert wrong.code == ErrorCode.INVALID_PARAMS
        await here.call("second_factor_confirm", code=totp.at(now() // 1_000_000))
        await here.restart()

        factor = await here.call("get_second_factor")
        assert (factor["enrolled"], factor["given"], factor["recovery_codes_left"]) == (True, False, 10)
        loosening = {"patch": {"rules": {"daily_realized_loss": {"limit": -9000}}}}
        tightening = {"patch": {"rules": {"daily_realized_loss": {"limit": -300}}}}
        await here.call("set_config", **tightening)
        (lock,) = await here.call("lock_accounts", account_ids=[101], minutes=60, reason="enough")
        for method, params in (
            ("set_config", loosening),
            ("clear_lockout", {"id": lock["id"], "reason": "please"}),
            ("stop_daemon", {}),
            ("set_credential", {"username": "trader1", "api_key": "other"}),
            (
                "set_config",
                {"file": "accounts.yaml", "patch": [{"path": "logins.trader1.api_key", "value": "other-key"}]},
            ),
            (
                "set_config",
                {"file": "accounts.yaml", "patch": [{"path": "gateway.api_url", "value": "http://127.0.0.1:9/api"}]},
            ),
            (
                "set_config",
                {"file": "accounts.yaml", "patch": [{"path": "logins.trader1.username", "value": "trader2"}]},
            ),
            ("second_factor_enroll", {}),
            ("second_factor_disable", {}),
            ("remove_alert_target", {"name": "desk"}),
            ("restore_backup", {"file": (await here.call("backup_now"))["file"]}),
        ):
            refusal = await here.refused(method, **params)
            assert (refusal.code, refusal.data) == (ErrorCode.REFUSED_BY_POLICY, {"policy": "second_factor"}), method
        with pytest.raises(RpcError):
            await here.admin.second_factor("000000")
        await here.admin.second_factor(made["recovery_codes"][0])
        await here.call("set_config", **loosening)
        assert (await here.call("get_pending_config"))[0]["path"] == "rules.daily_realized_loss.limit"
        assert (await here.call("get_second_factor"))["recovery_codes_left"] == 9

        # Nobody learns the secret afterwards, from whatever can be read.
        said = json.dumps([await here.call("get_audit_log"), await here.call("get_log"), await here.call("get_config")])
        assert made["secret"] not in said and made["recovery_codes"][1] not in said
        await here.call("second_factor_disable")
        assert (await here.call("get_second_factor"))["enrolled"] is False


async def test_second_factor_when_the_key_store_is_locked_or_has_lost_it_lets_nothing_loosen(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        made = await here.call("second_factor_enroll")
        now = here.world.service.clock.now() // 1_000_000
        await here.call("second_factor_confirm", code=pyotp.TOTP(made["secret"]).at(now))
        loosening = {"patch": {"rules": {"max_contracts": {"limit": 50}}}}

        here.keys.locked = True
        await here.restart()
        assert (await here.refused("set_config", **loosening)).code == ErrorCode.REFUSED_BY_POLICY
        with pytest.raises(RpcError):
            await here.admin.second_factor(made["recovery_codes"][0])
        assert "can't be read" in (await here.call("get_second_factor"))["broken"]
        await here.call("set_config", patch={"rules": {"max_contracts": {"limit": 4}}})

        here.keys.locked = False
        here.keys.kept.clear()
        await here.admin.close()
        await here.world.stop()
        await here.world.start()
        await eventually(lambda: here.world.service.admin.factor.broken != "", "read")
        here.admin = await _login(here)
        assert (await here.call("get_second_factor"))["enrolled"] is True
        assert (await here.refused("set_config", **loosening)).code == ErrorCode.REFUSED_BY_POLICY


async def _login(here: Desk) -> RpcClient:
    client = RpcClient(here.world.home.endpoint)
    await client.connect()
    await client.authenticate(here.world.home.admin_key.read_bytes())
    return client


class _Receiver(http.server.BaseHTTPRequestHandler):
    got: list[str]

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        self.got.append(self.rfile.read(length).decode())
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def receiver() -> Iterator[tuple[int, list[str]]]:
    """A web hook on loopback: its port and what came."""
    got: list[str] = []
    handler = type("Handler", (_Receiver,), {"got": got})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1], got
    server.shutdown()
    thread.join(5)
    server.server_close()


async def test_alerts_logs_and_presets_when_used_do_what_they_say(
    tmp_path: Path, receiver: tuple[int, list[str]]
) -> None:
    port, got = receiver
    async with desk(tmp_path) as here:
        address = f"json://127.0.0.1:{port}/hidden-path-1234"
        answer = await here.call("set_alert_target", name="Desk", kinds=["lockout"], address=address)
        assert [row["name"] for row in answer["targets"]] == ["Desk"]
        assert (await here.call("test_alert_target", name="Desk")) == {"delivered": True, "error": ""}
        await here.call("lock_accounts", account_ids=[102], minutes=9, reason="overtrading")
        await eventually(lambda: any("overtrading" in text for text in got), "the lockout is told")
        assert "hidden-path-1234" not in json.dumps([await here.call("get_alert_targets"), await here.call("get_log")])
        assert (await here.refused("set_alert_target", name="X", kinds=["error"], address="nonsense")).code == -32602
        await here.restart()
        assert [row["name"] for row in (await here.call("get_alert_targets"))["targets"]] == ["Desk"]
        assert (await here.call("test_alert_target", name="Desk"))["delivered"]
        await here.call("remove_alert_target", name="Desk")
        assert (await here.call("get_alert_targets"))["targets"] == []

        # The log: by level and text, and followed.
        heard: list[Any] = []
        subscription = await here.admin.subscribe(["log"], heard.append)
        await eventually(lambda: any(isinstance(one, Snapshot) for one in heard), "the subscription")
        await here.call("lock_accounts", account_ids=[101], minutes=7, reason="follow-me-please")
        await eventually(
            lambda: any(isinstance(one, Event) and "follow-me-please" in json.dumps(one.data) for one in heard),
            "the log is followed",
        )
        await here.admin.unsubscribe(subscription)
        lines = await _lines(here, file="enforcement", text="follow-me")
        assert lines and all("follow-me" in line["text"] for line in lines)
        assert await _lines(here, file="enforcement", level="CRITICAL", wait=False) == []

        # Every preset can be applied as it is.
        presets = await here.call("get_presets")
        assert len(presets) >= 5
        for preset in presets:
            assert "Looked up on" in preset["notes"]
            await here.call("set_config", yaml=preset["yaml"], dry_run=True)

        info = await here.call("get_service_info")
        assert info["status"] == "healthy" and info["home"] == str(here.world.home.root)
        runs = info["runs"]
        assert [run["clean"] for run in runs] == [True, True]
        assert runs[0]["ended_at"] is None and runs[1]["ended_at"] is not None
        (row,) = await here.call("get_logins")
        assert (row["username"], row["enabled"], row["key_place"]) == ("trader1", True, "file")
        assert sorted(account["account_id"] for account in row["found"]) == [101, 102]
        assert "key-of-trader1" not in json.dumps([row, await here.call("get_config")])


async def _lines(here: Desk, *, wait: bool = True, **params: Any) -> list[dict[str, Any]]:
    for _ in range(200):
        lines: list[dict[str, Any]] = (await here.call("get_log", **params))["lines"]
        if lines or not wait:
            return lines
        await asyncio.sleep(0.02)
    return []


async def test_logins_when_changed_keep_their_accounts_protected_until_the_reset(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        await here.call("set_credential", username="second", api_key="key-of-second")
        step = {"path": ["logins", "second"], "value": {"api_key": "keyring", "accounts": [900]}}
        await here.call("set_config", patch=[step], file="accounts.yaml")
        assert here.keys.kept["RiskManager", "second"] == "key-of-second"
        assert "key-of-second" not in here.world.home.accounts_file.read_text(encoding="utf-8")
        rows = {row["username"]: row for row in await here.call("get_logins")}
        assert rows["second"]["key_set"] is True and rows["second"]["accounts"] == [900]

        off = {"path": ["logins", "trader1", "enabled"], "value": False}
        answer = await here.call("set_config", patch=[off], file="accounts.yaml")
        assert [row["path"] for row in answer["pending"]] == ["logins.trader1.enabled"]
        rows = {row["username"]: row for row in await here.call("get_logins")}
        assert (rows["trader1"]["enabled"], rows["trader1"]["active"]) == (False, True)
        assert set(here.world.service.engine.accounts) == {101, 102}
        entries = (await here.call("get_audit_log"))["rows"]
        noted = [row for row in entries if row["action"] == "set_credential"]
        assert noted and "key-of-second" not in json.dumps(noted)
