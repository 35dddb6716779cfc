"""Admin sessions over real connections: proofs, signatures, pauses, the second factor."""

from __future__ import annotations

import json

from daemon.ipc_sessions import IpcLimits
from shared.protocol import ErrorCode
from tests.daemon.ipc_support import NOW, Daemon, Lines, eventually, serving


class Codes:
    """A second factor that takes each of its codes once."""

    def __init__(self, *codes: str) -> None:
        self.codes = list(codes)
        self.enrolled = True
        self.reading = False
        self.asked: list[tuple[str, int]] = []

    def verify(self, code: str, now: int) -> bool:
        self.asked.append((code, now))
        if code not in self.codes:
            return False
        self.codes.remove(code)
        return True


async def test_admin_when_logged_in_may_call_what_others_may_not() -> None:
    daemon = Daemon()
    async with serving(daemon) as (_, at):
        admin, other = await Lines.open(at), await Lines.open(at)
        assert (await admin.log_in())["result"] == {"authenticated": True, "second_factor_required": False}
        assert "result" in await admin.ask("clear_lockout", {"id": 3, "reason": "größer"}, signed=True)
        assert "result" in await admin.ask("get_config", signed=True)
        assert "error" in await admin.ask("get_config")
        assert "error" in await other.ask("get_config")
        contexts = [context for name, _, context in daemon.calls if name == "clear_lockout"]
        assert [(context.admin, context.second_factor_ok) for context in contexts] == [(True, True)]
        assert daemon.alert_kinds() == ["admin_logged_in"]


async def test_admin_when_requests_are_repeated_or_moved_to_another_connection_is_not_fooled() -> None:
    daemon = Daemon()
    async with serving(daemon) as (_, at):
        admin, other = await Lines.open(at), await Lines.open(at)
        await admin.log_in()
        await other.log_in()
        assert admin.signer is not None
        auth = admin.signer.sign("stop_daemon", {})
        line = (
            json.dumps({"jsonrpc": "2.0", "id": 70, "method": "stop_daemon", "params": {}, "auth": auth}).encode()
            + b"\n"
        )
        other.send(line)
        assert (await other.read())["error"]["code"] == ErrorCode.NOT_AUTHORIZED
        admin.send(line + line)
        assert [("result" in answer) for answer in (await admin.read(), await admin.read())].count(True) == 1
        assert [name for name, _, _ in daemon.calls].count("stop_daemon") == 1
        assert "signature_refused" in daemon.alert_kinds()


async def test_admin_when_the_key_is_another_never_gets_in_and_logins_pause() -> None:
    clock = [1000.0]
    daemon = Daemon()
    async with serving(daemon, monotonic=lambda: clock[0]) as (_, at):
        attacker, admin = await Lines.open(at), await Lines.open(at)
        for _ in range(5):
            await attacker.ask("auth_begin", {"client_nonce": "ab" * 32})
            answer = await attacker.ask("auth_finish", {"proof": "00" * 32})
            assert answer["error"]["code"] == ErrorCode.NOT_AUTHORIZED
        assert daemon.alert_kinds() == ["admin_login_failed", "admin_login_paused"]
        refused = await admin.log_in()
        assert refused["error"]["code"] == ErrorCode.NOT_AUTHORIZED
        assert refused["error"]["data"] == {"retry_after": 61}
        clock[0] += 59.9
        assert "error" in await admin.log_in()
        clock[0] += 0.2
        assert "result" in await admin.log_in()


async def test_admin_when_attackers_keep_logins_paused_goes_on_in_a_session_that_was_there() -> None:
    daemon = Daemon()
    async with serving(daemon) as (_, at):
        admin, attacker = await Lines.open(at), await Lines.open(at)
        await admin.log_in()
        for _ in range(8):
            await attacker.ask("auth_finish", {"proof": "00" * 32})
        assert "result" in await admin.ask("get_config", signed=True)


async def test_admin_when_logged_out_is_as_anybody_and_loses_the_admin_topics() -> None:
    async with serving(Daemon()) as (server, at):
        admin = await Lines.open(at)
        await admin.log_in()
        await admin.ask("subscribe", {"topics": ["log", "status"]}, signed=True)
        assert (await admin.ask("auth_end", {}, signed=True))["result"] == {"authenticated": False}
        assert (server.wanted("log"), server.wanted("status")) == (False, True)
        assert "error" in await admin.ask("get_config", signed=True)


async def test_admin_when_idle_for_too_long_has_to_log_in_again() -> None:
    clock = [1000.0]
    limits = IpcLimits(sweep_seconds=0.01, admin_idle_seconds=900.0)
    async with serving(Daemon(), limits=limits, monotonic=lambda: clock[0]) as (server, at):
        admin = await Lines.open(at)
        await admin.log_in()
        await admin.ask("subscribe", {"topics": ["log"]}, signed=True)
        clock[0] += 901.0
        await eventually(lambda: not server.wanted("log"))
        assert "error" in await admin.ask("get_config", signed=True)
        assert "result" in await admin.log_in()


async def test_second_factor_when_enrolled_is_needed_for_what_loosens_and_given_once_a_session() -> None:
    daemon, codes = Daemon(), Codes("123456", "654321")
    async with serving(daemon, second_factor=codes) as (_, at):
        admin = await Lines.open(at)
        assert (await admin.log_in())["result"] == {"authenticated": True, "second_factor_required": True}
        assert "result" in await admin.ask("get_config", signed=True)
        for method, params in (("clear_lockout", {"id": 1, "reason": "r"}), ("set_config", {"yaml": "x"})):
            answer = await admin.ask(method, params, signed=True)
            assert answer["error"]["code"] == ErrorCode.REFUSED_BY_POLICY
            assert answer["error"]["data"] == {"policy": "second_factor"}
        wrong = await admin.ask("auth_second_factor", {"code": "111111"}, signed=True)
        assert wrong["error"]["code"] == ErrorCode.NOT_AUTHORIZED
        assert "result" in await admin.ask("get_config", signed=True)  # the session is none the worse
        right = await admin.ask("auth_second_factor", {"code": "123456"}, signed=True)
        assert right["result"] == {"second_factor_required": False}
        assert codes.asked == [("111111", NOW), ("123456", NOW)]
        assert "result" in await admin.ask("clear_lockout", {"id": 1, "reason": "r"}, signed=True)
        assert "result" in await admin.ask("set_config", {"yaml": "x"}, signed=True)
        again = await Lines.open(at)
        await again.log_in()
        assert "error" in await again.ask("clear_lockout", {"id": 1, "reason": "r"}, signed=True)
        await admin.log_in()  # a new session on the same connection is a new session
        assert "error" in await admin.ask("clear_lockout", {"id": 1, "reason": "r"}, signed=True)
        assert "second_factor_failed" in daemon.alert_kinds()


async def test_second_factor_when_the_key_store_is_still_read_is_neither_claimed_nor_judged() -> None:
    codes = Codes("123456")
    codes.reading = True
    async with serving(Daemon(), second_factor=codes) as (_, at):
        admin = await Lines.open(at)
        await admin.log_in()
        for method, params in (("stop_daemon", {"reason": "off"}), ("auth_second_factor", {"code": "123456"})):
            error = (await admin.ask(method, params, signed=True))["error"]
            assert error["code"] == ErrorCode.BUSY
            assert "cannot be read yet" in error["message"] and "again in a moment" in error["message"]
        assert codes.asked == []
        codes.reading = False
        assert "result" in await admin.ask("auth_second_factor", {"code": "123456"}, signed=True)


async def test_second_factor_when_the_caller_is_no_admin_cannot_be_given() -> None:
    codes = Codes("123456")
    async with serving(Daemon(), second_factor=codes) as (_, at):
        client = await Lines.open(at)
        answer = await client.ask("auth_second_factor", {"code": "123456"})
        assert answer["error"]["code"] == ErrorCode.NOT_AUTHORIZED
        assert codes.asked == []
