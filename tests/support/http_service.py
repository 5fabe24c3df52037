"""A server with the protocol under test, and a client that sends bytes as they are."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import msgspec
import uvicorn

from app.metrics.catalogue import Metrics
from app.server.fast_path import Reply, SendReply, WholeRequest
from app.server.limits import Limits
from app.server.protocol import BoundedProtocol, bounded_protocol
from app.server.room_for_new import RoomForNew

LARGE_BYTES = 16 * 1024 * 1024  # more than the kernel keeps for a client that does not read
SHORT, LONG = 0.1, 30.0  # seconds: deadlines that are to pass, and those that are not


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.drop = writer.transport.abort

    async def send(self, *pieces: bytes, pause: float = 0) -> None:
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()
            await asyncio.sleep(pause)

    async def head(self) -> tuple[int, dict[str, str]]:
        head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), LONG)
        status, *lines = head.decode().split("\r\n")[:-2]
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        return int(status.split()[1]), headers

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        status, headers = await self.head()
        body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        return status, headers, body

    async def sizes(self, count: int) -> list[int]:
        return [int((await self.answer())[2]) for _ in range(count)]

    async def refusal(self, retry_after: str | None = None) -> tuple[int, str]:
        """Status and slug of the next answer, after which the server closes."""
        status, headers, body = await self.answer()
        assert await self.rest() == b""
        assert (headers["connection"], headers.get("retry-after")) == ("close", retry_after)
        assert headers["content-type"] == "application/problem+json"
        document = msgspec.json.decode(body)
        assert (document.keys(), document["status"]) == ({"type", "title", "status", "detail"}, status)
        return status, document["type"].removeprefix("urn:tidegate:problem:")

    def end(self) -> None:
        """Say that no more will be sent."""
        self._writer.write_eof()

    async def some(self, most: int) -> bytes:
        return await asyncio.wait_for(self._reader.read(most), LONG)

    async def read(self, size: int) -> bytes:
        return await asyncio.wait_for(self._reader.readexactly(size), LONG)

    async def rest(self) -> bytes:
        return await asyncio.wait_for(self._reader.read(), LONG)


class Service:
    """A server whose application answers with the size of the body; the path says when."""

    is_fast = False

    def __init__(self, limits: Limits, keep_alive: float) -> None:
        self.fast = FastSizes() if self.is_fast else None
        self.metrics = Metrics(1, "test")
        self.http = http = bounded_protocol(limits, self.fast, self.metrics)
        http.linger_seconds = SHORT * 2
        http.room = RoomForNew(idle_seconds=LONG)
        config = uvicorn.Config(self, port=0, lifespan="off", log_config=None, http=http)
        config.load()
        config.timeout_keep_alive = cast("int", keep_alive)
        self.server = uvicorn.Server(config)
        self.server.lifespan = config.lifespan_class(config)
        self.clients: list[Client] = []
        self.go = asyncio.Event()
        self.calls = self.disconnects = self.running = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls += 1
        self.running += 1
        try:
            await self._serve(scope, receive, send)
        finally:
            self.running -= 1

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        path, size, more = scope["path"], 0, scope["path"] not in ("/early", "/busy")
        if path in ("/slow", "/busy"):
            await self.go.wait()
        if path == "/broken":
            raise ZeroDivisionError
        if path == "/large":
            await self._send(send, b"x" * LARGE_BYTES)
            return
        if path == "/streaming":
            await self._answer(send, 1, missing=1)
        while more:
            message = await receive()
            self.disconnects += message["type"] == "http.disconnect"
            if path == "/telling" and "tidegate.problem" in message:
                await self._send(send, b"%d" % size, status=message["tidegate.problem"].status)
                return
            size, more = size + len(message.get("body", b"")), message.get("more_body", False)
        if path == "/listening":
            self.listener = asyncio.ensure_future(receive())
            await self.go.wait()
        await self._answer(send, size)

    async def _answer(self, send: Any, size: int, missing: int = 0) -> None:
        await self._send(send, b"%d" % size, missing)

    async def _send(self, send: Any, body: bytes, missing: int = 0, status: int = 200) -> None:
        headers = [(b"content-length", b"%d" % (len(body) + missing))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": bool(missing)})

    def refused(self, reason: str, begun: str = "no") -> int:
        """How often the protocol says that it refused for this reason."""
        labels = {"reason": reason, "begun": begun}
        sample = self.metrics.registry.get_sample_value("tidegate_connection_refusals_total", labels)
        assert sample is not None
        return int(sample)

    async def refuses(self, reason: str, times: int, begun: str = "no") -> None:
        """Wait until the protocol has refused so often for this reason."""
        async with asyncio.timeout(4 * LONG):
            while self.refused(reason, begun) < times:
                await asyncio.sleep(0.01)

    @property
    def port(self) -> int:
        return int(self.server.servers[0].sockets[0].getsockname()[1])

    @property
    def held(self) -> int:
        """Bytes that the connections say they hold together."""
        return self.http.held.held

    async def client(self, address: str = "127.0.0.1") -> Client:
        ends = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(address, 0))
        self.clients.append(Client(*ends))
        return self.clients[-1]

    async def protocols(self, connections: int) -> list[BoundedProtocol]:
        """Return the protocols of the connections, once there are so many."""
        async with asyncio.timeout(LONG):
            while len(self.server.server_state.connections) < connections:
                await asyncio.sleep(0.005)
        return cast("list[BoundedProtocol]", list(self.server.server_state.connections))

    async def holds(self, connections: int, *, tasks: bool = True) -> None:
        """Wait until there are so few connections, and unless they may be there no tasks."""
        state = self.server.server_state
        async with asyncio.timeout(LONG):
            while len(state.connections) > connections or (tasks and state.tasks):
                await asyncio.sleep(0.005)

    async def forgets_those_too_many(self) -> None:
        """Wait until no connection that was one too many counts any more."""
        async with asyncio.timeout(LONG):
            while self.http.extra:
                await asyncio.sleep(0.005)


class FastSizes:
    """Answers a request that comes in one read without ASGI; odd sizes are left to the application."""

    path = b"/"

    def __init__(self) -> None:
        self.calls = 0

    def take(self, request: WholeRequest, send: SendReply) -> bool:
        size = len(request.body)
        if size % 2:
            return False
        self.calls += 1
        asyncio.get_running_loop().call_soon(send, Reply(200, [], b"%d" % size))
        return True


@asynccontextmanager
async def served(limits: Limits, keep_alive: float = LONG) -> AsyncIterator[tuple[Service, Client]]:
    service = Service(limits, keep_alive)
    await service.server.startup()
    await service.server.on_tick(0)
    try:
        yield service, await service.client()
    finally:
        for client in service.clients:
            client.drop()
        service.server.servers[0].close()
        await service.holds(0)
