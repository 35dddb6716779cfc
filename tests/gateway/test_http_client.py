"""What is known of a request after each way in which it can go wrong, and when it is on its way."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from daemon.gateway import http_client
from daemon.gateway.http_client import HttpAnswer, HttpClient, system_proxy
from daemon.gateway.wire_errors import AnswerLostError, NeverSentError

ANSWER = b'HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 16:00:00 GMT\r\nContent-Length: 13\r\n\r\n{"number": 1}'

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def client(
    *, secure: bool = False, proxy: str | None = None, **seconds: float
) -> AsyncIterator[tuple[HttpClient, list[tuple[int, Mapping[str, str]]]]]:
    heads: list[tuple[int, Mapping[str, str]]] = []
    made = HttpClient(
        connect=seconds.get("connect", 1.0),
        read=seconds.get("read", 1.0),
        secure=secure,
        proxy=proxy,
        on_head=lambda status, headers: heads.append((status, headers)),
    )
    try:
        yield made, heads
    finally:
        await made.aclose()


@contextlib.asynccontextmanager
async def server(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await talk(reader, writer)
        writer.close()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{listening.sockets[0].getsockname()[1]}/api/Position/closeContract"
    finally:
        listening.close()


async def post(made: HttpClient, url: str) -> HttpAnswer:
    request = made.request(method="POST", url=url, json={"accountId": 1}, params=None, headers={"X-Y": "z"})
    return await asyncio.wait_for(request, 10)


async def whole(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b'{"accountId":1}')


async def test_request_when_answered_gives_what_the_sdk_reads() -> None:
    got: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            got.append(await whole(reader))
            writer.write(ANSWER)

    async with server(talk) as url, client() as (made, heads):
        for _ in range(2):
            answer = await post(made, url)
    assert (answer.status_code, answer.json(), answer.text) == (200, {"number": 1}, '{"number": 1}')
    assert [(status, headers["date"]) for status, headers in heads] == [(200, "Sat, 21 Nov 2026 16:00:00 GMT")] * 2
    assert got[0] == got[1]  # on one connection, and the second like the first
    assert got[0].startswith(b"POST /api/Position/closeContract HTTP/1.1\r\n")
    assert b"X-Y: z\r\n" in got[0]
    assert b"Accept: application/json\r\n" in got[0]


async def test_request_when_a_connection_is_open_is_written_before_the_call_returns() -> None:
    arrived: list[float] = []
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(10)

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.settimeout(10)
            for _ in range(2):
                connection.recv(65536)
                arrived.append(time.monotonic())
                connection.sendall(ANSWER)

    thread = threading.Thread(target=serve)
    thread.start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
    async with client() as (made, _):
        await post(made, url)
        request = made.request(method="POST", url=url, json={}, params=None, headers={})
        deadline = time.monotonic() + 5
        while len(arrived) < 2 and time.monotonic() < deadline:
            time.sleep(0.005)  # noqa: ASYNC251 - the event loop must not come round
        assert len(arrived) == 2
        await request
    thread.join(5)
    listening.close()


async def test_request_when_nothing_listens_was_never_sent() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        async with client() as (made, _):
            with pytest.raises(NeverSentError, match="no connection"):
                await post(made, url)


async def test_request_when_the_connection_is_not_made_in_time_was_never_sent() -> None:
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(3):  # its queue is full
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        async with client(connect=0.3) as (made, _):
            with pytest.raises(NeverSentError):
                await post(made, f"http://127.0.0.1:{listening.getsockname()[1]}/")


@pytest.mark.parametrize("proper", [False, True])
async def test_request_when_tls_is_not_agreed_upon_was_never_sent(proper: bool) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        if proper:
            await asyncio.sleep(5)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with server(talk) as url, client(secure=True, connect=0.3) as (made, _):
        with pytest.raises(NeverSentError):
            await post(made, url.replace("http:", "https:"))


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 that nobody trusts yet, and a server's side with it."""
    key, file = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1"
    words = [*command.split(), "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(file)]
    subprocess.run(words, check=True, capture_output=True, timeout=30)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key)
    return file, context


@pytest.mark.parametrize("trusted", [True, False])
async def test_request_over_tls_is_answered_when_the_system_trusts_the_certificate_and_else_never_sent(
    certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    file, context = certificate
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
    connections: set[int] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await whole(reader)
            connections.add(id(writer))
            writer.write(ANSWER)

    http_client._tls.cache_clear()
    try:
        async with server(talk, context) as url, client(secure=True) as (made, _):
            if trusted:
                assert (await post(made, url)).json() == {"number": 1}
                assert (await post(made, url)).status_code == 200
                assert len(connections) == 1
            else:
                with pytest.raises(NeverSentError, match="certificate"):
                    await post(made, url)
    finally:
        http_client._tls.cache_clear()


@pytest.mark.parametrize("answer", ["407 Proxy Authentication Required", "502 Bad Gateway", "200 OK"])
async def test_request_when_a_proxy_does_not_let_it_through_was_never_sent(answer: str) -> None:
    got: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n".encode())

    async with server(talk) as url:
        proxy = url.replace("http://", "http://me:se%40cret@").partition("/api")[0]
        async with client(secure=True, proxy=proxy) as (made, _):
            with pytest.raises(NeverSentError):
                await post(made, "https://gateway.invalid/api/x")
    assert got[0].startswith(b"CONNECT gateway.invalid:443 HTTP/1.1\r\n")
    login = base64.b64encode(b"me:se@cret")
    assert b"Proxy-Authorization: Basic " + login + b"\r\n" in got[0]


async def test_request_when_netrc_names_the_host_carries_only_what_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n", encoding="utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    got: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await whole(reader))
        writer.write(ANSWER)

    async with server(talk) as url, client() as (made, _):
        sent = made.request(
            method="POST", url=url, json={"accountId": 1}, params=None, headers={"Authorization": "Bearer t"}
        )
        assert (await sent).status_code == 200
    assert got[0].count(b"Authorization:") == 1
    assert b"Authorization: Bearer t\r\n" in got[0]


def test_proxy_of_an_address_is_the_environment_s_unless_it_is_excepted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", "http://proxy.invalid:3128")
    monkeypatch.setenv("no_proxy", "localhost,.inside.invalid")
    assert system_proxy("https://gateway.invalid/api") == "http://proxy.invalid:3128"
    assert system_proxy("https://gateway.inside.invalid/api") is None
    assert system_proxy("http://gateway.invalid/api") is None
    monkeypatch.setenv("all_proxy", "http://other.invalid:3128")
    assert system_proxy("http://gateway.invalid/api") == "http://other.invalid:3128"


async def _closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await whole(reader)


async def _reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await whole(reader)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await whole(reader)
    await asyncio.sleep(5)


async def _garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await whole(reader)
    writer.write(b"\x00\x01 no answer\r\n\r\n")


async def _cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await whole(reader)
    writer.write(ANSWER[:-3])


async def _stuck(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await whole(reader)
    writer.write(ANSWER[:-3])
    await asyncio.sleep(5)


@pytest.mark.parametrize("talk", [_closed, _reset, _silent, _garbage, _cut, _stuck])
async def test_request_when_it_was_sent_and_no_whole_answer_comes_is_lost(talk: Talk) -> None:
    async with server(talk) as url, client(read=0.3) as (made, heads):
        with pytest.raises(AnswerLostError):
            await post(made, url)
    assert len(heads) == (talk in {_cut, _stuck})


@pytest.mark.parametrize("talk", [_closed, _reset])
async def test_request_when_a_used_connection_breaks_after_it_is_lost_and_not_sent_again(talk: Talk) -> None:
    got = 0

    async def first_answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal got
        await whole(reader)
        got += 1
        writer.write(ANSWER)
        await talk(reader, writer)
        got += 1

    async with server(first_answered) as url, client() as (made, _):
        await post(made, url)
        with pytest.raises(AnswerLostError):
            await post(made, url)
        await asyncio.sleep(0.2)
    assert got == 2


async def test_request_when_its_connection_was_closed_while_unused_goes_out_on_another() -> None:
    times = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal times
        times += 1
        await whole(reader)
        writer.write(ANSWER)
        await writer.drain()

    async with server(talk) as url, client() as (made, _):
        await post(made, url)
        await asyncio.sleep(0.1)
        await post(made, url)
    assert times == 2


async def test_request_when_redirected_is_not_sent_elsewhere() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await whole(reader)
        writer.write(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")

    async with server(talk) as url, client() as (made, _):
        assert (await post(made, url)).status_code == 307


async def test_request_when_the_client_is_closed_meanwhile_is_lost() -> None:
    async with server(_silent) as url, client(read=5) as (made, _):
        request: asyncio.Task[Any] = asyncio.create_task(post(made, url))
        await asyncio.sleep(0.1)
        await made.aclose()
        with pytest.raises(AnswerLostError):
            await asyncio.wait_for(request, 5)
