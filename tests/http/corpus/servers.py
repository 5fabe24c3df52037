"""Those who are asked: the gate over either way in, and plain uvicorn with a small application."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
import msgspec
import uvicorn

from app.settings.model import Settings
from tests.support.gate import GateProcess, gate_program

HAS_SWITCH = "fast_path" in Settings.model_fields
# Everything that was carried out is asked for at the end.
WINDOW_SECONDS = 3600
# No case waits for it; on a busy machine, single bytes of many connections take their time.
DEADLINE_SECONDS = 60
ASKED_AT_ONCE = 5000
REFUSALS = "refusals"
# Not those of the test itself, for scrapes and probes.
_REQUESTS = re.compile(r'tidegate_http_requests_total{code="(\d+)",method="\w+",route="(?!/metrics|/readyz)')
LIVE, PAGE, MOST_BYTES = "/livez", "/", 8 * 1024 * 1024
JSON_TYPE = [(b"content-type", b"application/json")]


class Server(Protocol):
    """One that the cases are sent to."""

    name: str

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""


@dataclass
class Gate:
    """A running gate."""

    name: str
    process: GateProcess

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        url = httpx.URL(self.process.url)
        return url.host, int(url.port or 0)

    def carried_out(self, signatures: list[str]) -> set[str]:
        """Those that are in the gate: sent once more, they are duplicates."""
        found: set[str] = set()
        with self.process.client() as client:
            for start in range(0, len(signatures), ASKED_AT_ONCE):
                some = signatures[start : start + ASKED_AT_ONCE]
                answer = client.post("/transactions", json=[{"signature": each} for each in some])
                found.update(some[at] for at in answer.json()["duplicates"])
        return found

    def counted(self) -> Counter[str]:
        """How many requests it has counted under each status, and how many refusals of the protocol."""
        counts: Counter[str] = Counter()
        with self.process.client() as client:
            for line in client.get("/metrics").text.splitlines():
                code = _REQUESTS.match(line)
                if code is not None:
                    counts[code[1]] += int(float(line.split()[-1]))
                elif line.startswith("tidegate_connection_refusals_total"):
                    counts[REFUSALS] += int(float(line.split()[-1]))
        return counts


def gate_settings(is_fast: bool) -> dict[str, object]:
    """The settings of a gate for the corpus."""
    switch = {"fast_path": str(is_fast).lower()} if HAS_SWITCH else {}
    kept = (
        "transaction_retention_seconds",
        "emergency_transaction_retention_seconds",
        "dedup_window_seconds",
    )
    return {**dict.fromkeys(kept, WINDOW_SECONDS), "receive_deadline_seconds": DEADLINE_SECONDS, **switch}


@asynccontextmanager
async def gate(name: str, is_fast: bool) -> AsyncIterator[Gate]:
    """A gate with the fast path or without it."""
    with gate_program(**gate_settings(is_fast)) as process:
        yield Gate(name, process)


class Plain:
    """uvicorn with its own protocol, and an application that answers to the cases as the gate does."""

    name = "uvicorn"
    address = ("127.0.0.1", 0)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        status, answer = 413, b"{}"
        if int(dict(scope["headers"]).get(b"content-length", 0)) <= MOST_BYTES:
            status, answer = _answer(scope["method"], scope["path"], await _body(receive))
        elif scope["path"] == LIVE:
            status, answer = _answer(scope["method"], LIVE, b"")
        headers = [*JSON_TYPE, (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


async def _body(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


def _answer(method: str, path: str, body: bytes) -> tuple[int, bytes]:
    if path in (LIVE, PAGE):
        return (200, b'{"status":"alive"}') if method in ("GET", "HEAD") else (405, b"{}")
    if path != "/transactions":
        return 404, b"{}"
    if method != "POST":
        return 405, b"{}"
    try:
        signature = msgspec.json.decode(body)["signature"]
    except (msgspec.DecodeError, KeyError, TypeError):
        return 400, b"{}"
    return 200, msgspec.json.encode({"status": "accepted", "signature": signature})


@asynccontextmanager
async def plain() -> AsyncIterator[Plain]:
    """uvicorn as it is, in this process."""
    app = Plain()
    config = uvicorn.Config(
        app, port=0, lifespan="off", log_config=None, log_level="critical", http="httptools", ws="none"
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    app.address = server.servers[0].sockets[0].getsockname()[:2]
    try:
        yield app
    finally:
        await server.shutdown()
        await asyncio.sleep(0)
