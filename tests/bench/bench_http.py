"""What one order request costs this process: an httpx POST, and ours through the SDK, in the same run.

One after the other, and 20 ms apart: then the caches of the processor are cold, as they are when a lockout comes.
Run with: uv run python -m tests.bench.bench_http
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import httpx

from daemon.clock import TrustedClock
from daemon.gateway.projectx import Addresses, RestClient

REQUESTS = {0.0: 1000, 0.02: 200}
"""By seconds between two."""
BODY = {"accountId": 101, "contractId": "CON.F.US.MNQ.Z26"}
TOKEN = "x" * 400

SERVER = """
import asyncio
ANSWER = b'{"success":true,"errorCode":0,"errorMessage":null}'
HEAD = b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(ANSWER)
async def serve(reader, writer):
    while True:
        head = await reader.readuntil(b"\\r\\n\\r\\n")
        length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\\r\\n") if b"content-length" in line)
        await reader.readexactly(length)
        writer.write(HEAD + ANSWER)
async def main():
    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await asyncio.sleep(120)
asyncio.run(main())
"""


async def cost(post: Callable[[], Awaitable[object]], pause: float) -> tuple[float, float]:
    """Microseconds of CPU, and the median of the time taken."""
    for _ in range(50):
        await post()
    taken = []
    before = time.process_time()
    for _ in range(REQUESTS[pause]):
        if pause:
            await asyncio.sleep(pause)
        started = time.perf_counter()
        await post()
        taken.append(time.perf_counter() - started)
    used = time.process_time() - before
    return used / len(taken) * 1e6, sorted(taken)[len(taken) // 2] * 1e6


async def measure() -> int:
    """Print both and their ratio; 1 if ours costs more."""
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVER, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    )
    assert server.stdout is not None
    try:
        url = f"http://127.0.0.1:{int(await asyncio.wait_for(server.stdout.readline(), 10))}"
        ours = RestClient("nobody", Addresses(f"{url}/api", f"{url}/u", f"{url}/m"), TrustedClock(), 3.0, 8.0)
        ours.set_token(TOKEN)
        worse = False
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}) as theirs:
            for pause in REQUESTS:
                plain = await cost(lambda: theirs.post(f"{url}/api/Position/closeContract", json=BODY), pause)
                through = await cost(lambda: ours.post("/Position/closeContract", BODY), pause)
                when = f"{pause * 1000:.0f} ms apart:" if pause else "in a row:"
                print(
                    f"{when:14} httpx alone {plain[0]:5.0f} us of CPU, p50 {plain[1]:5.0f} us;"
                    f" ours through the SDK {through[0]:5.0f} and {through[1]:5.0f}: x {through[0] / plain[0]:.2f}"
                )
                worse = worse or through[0] > plain[0]
        await ours.close()
    finally:
        server.terminate()
        await server.wait()
    return int(worse)


if __name__ == "__main__":
    raise SystemExit(asyncio.run(measure()))
