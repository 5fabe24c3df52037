"""The HTTP protocol bounds what one client can hold, and answers past each limit with a problem document."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self, cast

import msgspec
import pytest
import uvicorn

from app.http import protocol
from app.http.problem import problem_bytes
from app.http.protocol import bounded_protocol
from app.http.refusals import Limits

pytestmark = pytest.mark.asyncio

SHORT, LONG, PATIENCE = (
    0.15,
    5.0,
    5.0,
)  # deadlines that are to pass, that are not, and the tests' own; seconds
HEADER_BYTES = 512
LIMITS = Limits(header_bytes=HEADER_BYTES, header_seconds=LONG, body_seconds=LONG, connections=8)
IMPATIENT = Limits(header_bytes=HEADER_BYTES, header_seconds=SHORT, body_seconds=SHORT, connections=8)
IMPATIENT_FOR_HEADERS = Limits(header_bytes=HEADER_BYTES, header_seconds=SHORT, body_seconds=LONG)
IMPATIENT_FOR_BODIES = Limits(header_bytes=HEADER_BYTES, header_seconds=LONG, body_seconds=SHORT)

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(autouse=True)
def _short_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "LINGER_SECONDS", 0.1)


def post(body: bytes, path: str = "/", headers: bytes = b"") -> bytes:
    return b"POST %b HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n%b" % (path.encode(), headers, len(body), body)


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n", path: bytes = b"/") -> bytes:
    head = b"POST %b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" % path
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + end


def header_of(size: int) -> bytes:
    start, end = b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"\r\n\r\n"
    return start + b"x" * (size - len(start) - len(end)) + end


@dataclass
class Application:
    """Answers with the size of the body; the path says when, and `go` lets the waiting ones go on."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    under_way: int = 0
    disconnects: int = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.under_way += 1
        self.begun.set()
        try:
            await getattr(self, scope["path"][1:] or "plain")(receive, send)
        finally:
            self.under_way -= 1

    async def plain(self, receive: Any, send: Any) -> None:
        await self._answer(send, await self._size(receive))

    async def slow(self, receive: Any, send: Any) -> None:
        await self.go.wait()
        await self.plain(receive, send)

    async def early(self, _: Any, send: Any) -> None:
        await self._answer(send, 0)

    async def listening(self, receive: Any, send: Any) -> None:
        size = await self._size(receive)
        listener = asyncio.ensure_future(receive())
        await self.go.wait()
        await self._answer(send, size)
        await listener

    async def streaming(self, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        await self._size(receive)
        await send({"type": "http.response.body", "body": b"ended"})

    async def _size(self, receive: Any) -> int:
        size, more = 0, True
        while more:
            message = await receive()
            self.disconnects += message["type"] == "http.disconnect"
            size, more = size + len(message.get("body", b"")), message.get("more_body", False)
        return size

    async def _answer(self, send: Any, size: int) -> None:
        body = b"%d" % size
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> tuple[int, str]:
        """Status and slug, after a check of all that every refusal has in common."""
        assert self.headers["content-type"] == "application/problem+json"
        assert self.headers["connection"] == "close"
        document = msgspec.json.decode(self.body)
        assert set(document) == {"type", "title", "status", "detail"}
        assert document["status"] == self.status
        return self.status, document["type"].removeprefix("urn:tidegate:problem:")


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, *pieces: bytes, pause: float = 0) -> Self:
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()
            await asyncio.sleep(pause)
        return self

    async def answer(self) -> Answer:
        head = (await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), PATIENCE)).decode()
        status, *lines = head.split("\r\n")[:-2]
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        return Answer(int(status.split()[1]), headers, body)

    async def sizes(self, count: int) -> list[int]:
        return [int((await self.answer()).body) for _ in range(count)]

    async def refusal(self) -> tuple[int, str]:
        """The next answer, after which there is none."""
        answer = await self.answer()
        assert await self.rest() == b""
        return answer.problem

    async def rest(self) -> bytes:
        return await asyncio.wait_for(self._reader.read(), PATIENCE)

    async def close(self) -> None:
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)


@dataclass
class Service:
    server: uvicorn.Server
    application: Application
    clients: list[Client] = field(default_factory=list)

    async def client(self) -> Client:
        port = self.server.servers[0].sockets[0].getsockname()[1]
        client = Client(*await asyncio.open_connection("127.0.0.1", port))
        self.clients.append(client)
        return client

    async def is_empty(self) -> bool:
        """Neither a connection nor a task is left, by and by."""
        state = self.server.server_state
        return await until(
            lambda: not state.connections and not state.tasks and not self.application.under_way
        )


async def until(condition: Callable[[], bool]) -> bool:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)
    return True


Serve = Callable[..., Awaitable[Service]]


@asynccontextmanager
async def served(limits: Limits, keep_alive: float = LONG) -> AsyncIterator[Service]:
    application = Application()
    config = uvicorn.Config(
        application,
        port=0,
        lifespan="off",
        log_config=None,
        access_log=False,
        ws="none",
        http=bounded_protocol(limits),
        timeout_keep_alive=cast("int", keep_alive),
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    await server.on_tick(0)
    service = Service(server, application)
    try:
        yield service
        application.go.set()
        await asyncio.gather(*(client.close() for client in service.clients))
        assert await service.is_empty()
    finally:
        server.servers[0].close()


async def test_a_problem_document_has_the_members_of_rfc_9457_and_extensions() -> None:
    assert msgspec.json.decode(problem_bytes(418, "teapot", "A teapot", "Use a pot.", spouts=1)) == {
        "type": "urn:tidegate:problem:teapot",
        "title": "A teapot",
        "status": 418,
        "detail": "Use a pot.",
        "spouts": 1,
    }


@pytest.mark.parametrize("before", [b"", GET, post(b"x" * 100), post(b"x" * 600), chunked(b"x" * 600)])
@pytest.mark.parametrize("cut", [0, 1, 300, HEADER_BYTES - 2])
async def test_a_header_may_be_as_large_as_the_limit_and_not_a_byte_larger(before: bytes, cut: int) -> None:
    async with served(LIMITS) as service:
        for size, status in ((HEADER_BYTES, 200), (HEADER_BYTES + 1, 431)):
            client = await service.client()
            await client.send(before + header_of(size)[:cut], header_of(size)[cut:], pause=0.005)
            if before:
                assert (await client.answer()).status == 200
            answer = await client.answer()
            assert answer.status == status
        assert answer.problem == (431, "header-too-large")
        assert f"{HEADER_BYTES} bytes" in answer.body.decode()
        assert await client.rest() == b""


async def test_a_header_without_an_end_is_refused_once_it_is_past_the_limit() -> None:
    async with served(LIMITS) as service:
        client = await service.client()
        await client.send(header_of(HEADER_BYTES)[:-4], *[b"x"] * 5)
        assert await client.refusal() == (431, "header-too-large")
        client = await service.client()
        await client.send(*[b"\r\n"] * HEADER_BYTES)
        assert await client.refusal() == (431, "header-too-large")
        assert not service.application.begun.is_set()


async def test_trailers_without_an_end_are_refused_too() -> None:
    async with served(LIMITS) as service:
        client = await (await service.client()).send(chunked(b"abc", end=b"0\r\nX: "))
        await client.send(*[b"x" * HEADER_BYTES] * 4, pause=0.005)
        assert await client.refusal() == (431, "header-too-large")


async def test_a_body_does_not_count_as_header() -> None:
    async with served(LIMITS) as service:
        client = await service.client()
        await client.send(post(b"\r\n" * 1000) + chunked(b"\r\n\r\n" * 1000, b"x" * 5000) + post(b"x" * 5000))
        assert await client.sizes(3) == [2000, 9000, 5000]


async def test_many_pipelined_requests_are_all_answered_in_order() -> None:
    bodies = [b"x" * size for size in (0, 1, 30, 511, 512, 513, 2000)] * 5
    async with served(LIMITS) as service:
        client = await service.client()
        await client.send(b"".join(post(body) + chunked(body or b"y") + GET for body in bodies))
        expected = [size for body in bodies for size in (len(body), len(body or b"y"), 0)]
        assert await client.sizes(len(expected)) == expected


@pytest.mark.parametrize("limit", [100, 16384])
async def test_requests_are_understood_wherever_they_are_cut(limit: int) -> None:
    data = post(b"a\r\n\r\nb") + chunked(b"\r\n\r\n", b"cd") + GET
    async with served(Limits(header_bytes=limit)) as service:
        client = await service.client()
        for cut in range(1, len(data)):
            await client.send(data[:cut])
            await client.send(data[cut:])
            assert await client.sizes(3) == [6, 6, 0]
        await client.send(*[data[at : at + 1] for at in range(len(data))])
        assert await client.sizes(3) == [6, 6, 0]


@pytest.mark.parametrize("build", [post, chunked])
async def test_a_large_body_comes_through_whole(build: Callable[[bytes], bytes]) -> None:
    async with served(IMPATIENT) as service:
        client = await (await service.client()).send(build(b"x" * 5 * 1024 * 1024) + GET)
        assert await client.sizes(2) == [5 * 1024 * 1024, 0]


@pytest.mark.parametrize("sent", [b"", b"G", b"\r\n", GET[:-2]])
async def test_a_header_that_does_not_come_is_refused_after_the_deadline(sent: bytes) -> None:
    async with served(IMPATIENT_FOR_HEADERS) as service:
        client = await (await service.client()).send(sent)
        assert await client.refusal() == (408, "header-timeout")
        assert await service.is_empty()


async def test_a_trickled_header_does_not_move_its_deadline() -> None:
    async with served(IMPATIENT_FOR_HEADERS) as service:
        client = await service.client()
        sending = asyncio.create_task(client.send(*[b"%c" % byte for byte in header_of(400)], pause=0.02))
        assert await client.refusal() == (408, "header-timeout")
        sending.cancel()


async def test_a_later_header_has_the_same_deadline_and_an_idle_connection_none() -> None:
    async with served(IMPATIENT) as service:
        client = await (await service.client()).send(GET, pause=3 * SHORT)
        await client.send(GET, pause=3 * SHORT)
        assert await client.sizes(2) == [0, 0]
        await client.send(GET[:-1])
        assert await client.refusal() == (408, "header-timeout")


@pytest.mark.parametrize(
    "request_", [post(b"x" * 9)[:-1], post(b"x" * 9000)[:-1], chunked(b"abc", end=b"5\r\nab")]
)
async def test_a_body_that_stops_is_refused_and_its_application_ends(request_: bytes) -> None:
    async with served(IMPATIENT_FOR_BODIES) as service:
        client = await (await service.client()).send(request_)
        assert await client.refusal() == (408, "body-timeout")
        assert await service.is_empty()
        assert service.application.disconnects == 1


async def test_a_body_that_keeps_coming_may_take_longer_than_the_deadline() -> None:
    async with served(IMPATIENT_FOR_BODIES) as service:
        request = post(b"x" * 20)
        client = await (await service.client()).send(request[:-20])
        await client.send(*[b"x"] * 20, pause=SHORT / 10)
        assert await client.sizes(1) == [20]


async def test_chunk_extensions_do_not_count_as_body() -> None:
    async with served(IMPATIENT_FOR_BODIES) as service:
        client = await (await service.client()).send(chunked(b"abc", end=b"5;"))
        sending = asyncio.create_task(client.send(*[b"x"] * 400, pause=0.02))
        assert await client.refusal() == (408, "body-timeout")
        sending.cancel()


async def test_a_body_that_stops_after_the_answer_began_closes_the_connection_and_no_more() -> None:
    async with served(IMPATIENT_FOR_BODIES) as service:
        client = await (await service.client()).send(post(b"x" * 9, "/streaming")[:-1])
        rest = await client.rest()
        assert b"begun" in rest
        assert b"ended" not in rest
        assert rest.count(b"HTTP/1.1") == 1
        assert await service.is_empty()


@pytest.mark.parametrize("size", [10, 5 * 1024 * 1024])
async def test_a_slow_application_is_not_the_clients_fault(size: int) -> None:
    async with served(IMPATIENT) as service:
        client = await service.client()
        sending = asyncio.create_task(client.send(post(b"x" * size, "/slow")))
        await asyncio.sleep(3 * SHORT)
        service.application.go.set()
        await sending
        assert await client.sizes(1) == [size]


async def test_a_client_that_waits_for_100_continue_is_not_late_before_it_was_told() -> None:
    async with served(IMPATIENT) as service:
        request = post(b"x" * 9, "/slow", b"Expect: 100-continue\r\n")
        client = await (await service.client()).send(request[:-9], pause=3 * SHORT)
        service.application.go.set()
        assert (await client.answer()).status == 100
        await client.send(request[-9:])
        assert await client.sizes(1) == [9]
        await client.send(request[:-9])
        assert (await client.answer()).status == 100
        assert await client.refusal() == (408, "body-timeout")


async def test_what_is_left_of_a_body_after_the_answer_has_one_deadline() -> None:
    async with served(IMPATIENT_FOR_BODIES) as service:
        client = await (await service.client()).send(post(b"x" * 400, "/early")[:-400])
        assert await client.sizes(1) == [0]
        sending = asyncio.create_task(client.send(*[b"x"] * 399, pause=0.02))
        assert await client.rest() == b""
        sending.cancel()


async def test_a_connection_whose_body_ended_after_the_answer_is_kept_alive_and_no_longer() -> None:
    async with served(LIMITS, keep_alive=SHORT) as service:
        request = post(b"x" * 9, "/early")
        client = await (await service.client()).send(request[:-9])
        assert await client.sizes(1) == [0]
        await client.send(request[-9:])
        assert await client.rest() == b""
        assert await service.is_empty()


async def test_one_connection_too_many_is_told_to_retry_until_another_closes() -> None:
    async with served(LIMITS) as service:
        clients = [await service.client() for _ in range(LIMITS.connections)]
        for client in clients:
            assert await (await client.send(GET)).sizes(1) == [0]
        for _ in range(2):
            answer = await (await service.client()).answer()
            assert answer.problem == (503, "too-many-connections")
            assert answer.headers["retry-after"] == "1"
            assert f"{LIMITS.connections} connections" in answer.body.decode()
            assert await service.clients[-1].rest() == b""
        await clients[0].close()
        assert await until(lambda: len(service.server.server_state.connections) < LIMITS.connections)
        assert await (await (await service.client()).send(GET)).sizes(1) == [0]
        assert await (await clients[1].send(GET)).sizes(1) == [0]


async def test_a_refused_connection_does_not_stay_when_its_client_does_not_close() -> None:
    async with served(LIMITS) as service:
        client = await (await service.client()).send(b"nonsense\r\n\r\n")
        assert await client.refusal() == (400, "malformed-request")
        assert await service.is_empty()


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"CONNECT x:1 HTTP/1.1\r\n\r\n",
        chunked(b"abc", end=b"zz\r\n"),
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_refused_with_a_problem(request_: bytes) -> None:
    async with served(LIMITS) as service:
        client = await (await service.client()).send(request_)
        assert await client.refusal() == (400, "malformed-request")


@pytest.mark.parametrize(
    ("second", "refusal"),
    [
        (b"nonsense\r\n\r\n", (400, "malformed-request")),
        (header_of(HEADER_BYTES + 1), (431, "header-too-large")),
        (GET[:-1], (408, "header-timeout")),
        (post(b"xx")[:-1], (408, "body-timeout")),
    ],
)
@pytest.mark.parametrize("before", [[post(b"", "/listening")], [post(b"", "/listening"), GET]])
async def test_a_refusal_waits_for_the_answers_before_it(
    before: list[bytes], second: bytes, refusal: tuple[int, str]
) -> None:
    async with served(IMPATIENT) as service:
        client = await service.client()
        await client.send(*before, second, pause=0.01)
        await asyncio.sleep(3 * SHORT)
        service.application.go.set()
        assert await client.sizes(len(before)) == [0] * len(before)
        assert await client.refusal() == refusal


async def test_an_upgrade_is_ignored_or_refused_if_it_has_a_body() -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
    async with served(LIMITS) as service:
        client = await service.client()
        await client.send(GET[:-2] + upgrade + b"\r\n")
        await client.send(GET)
        assert await client.sizes(2) == [0, 0]
        await client.send(GET[:-2] + upgrade + b"\r\n" + GET)
        assert await client.sizes(2) == [0, 0]
        await client.send(post(GET, headers=upgrade))
        assert await client.refusal() == (400, "upgrade-with-body")
