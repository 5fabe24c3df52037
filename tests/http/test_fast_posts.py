"""Single posts that take the fast path are answered, counted and bounded as all others are."""

import asyncio
import gzip
import re
import select
import socket
from collections.abc import Callable
from contextlib import closing
from urllib.parse import urlsplit

import msgspec
import pytest

from app.api.fast_posts import FastPosts
from app.decode.event_loop_turns import LONG_BYTES
from app.runtime import Runtime
from app.server.fast_path import Reply, WholeRequest
from tests.conftest import MakeSettings
from tests.support.gate import GateProcess, running
from tests.support.http_calls import item, nested, with_payload
from tests.support.servers import StoreServer, valkey_server


def _never(_: Reply) -> None:
    pytest.fail("it was taken")


JSON_HEADERS = {b"content-type": b"application/json"}
PLAIN = b"Content-Type: application/json\r\n"
Headers = dict[bytes, bytes]
# Each with a signature of its own in the place of %d.
REQUESTS: dict[str, tuple[bytes, bytes, bytes]] = {
    "valid": (b"", PLAIN, item("s%d", payload={"a": [1, "é"]}, slot=7)),
    "with a source": (b"?source=helius-a", PLAIN, item("s%d")),
    "with a source in a header": (b"", PLAIN + b"X-Source: helius-a\r\n", item("s%d")),
    "with two sources": (b"?source=a&source=b%3A1", PLAIN, item("s%d")),
    "source that cannot be one": (b"?source=a%20b", PLAIN, item("s%d")),
    "with a charset": (b"", b"Content-Type: application/json; charset=utf-8\r\n", item("s%d")),
    "another charset": (b"", b"Content-Type: application/json; charset=latin1\r\n", item("s%d")),
    "in capitals": (b"", b"CONTENT-TYPE: Application/JSON\r\n", item("s%d")),
    "another type": (b"", b"Content-Type: text/plain\r\n", item("s%d")),
    "no type": (b"", b"", item("s%d")),
    "white space first": (b"", PLAIN, b" \n" + item("s%d")),
    "an array": (b"", PLAIN, b"[" + item("s%d") + b"]"),
    "empty": (b"", PLAIN, b""),
    "not JSON": (b"", PLAIN, b'{"signature":'),
    "a number": (b"", PLAIN, b"7"),
    "unknown field": (b"", PLAIN, item("s%d", colour="red")),
    "no signature": (b"", PLAIN, b'{"source":"a"}'),
    "a key twice": (b"", PLAIN, b'{"signature":"s%d","signature":"t"}'),
    "too deep": (b"", PLAIN, with_payload(nested(200), "s%d")),
    "not UTF-8": (b"", PLAIN, b'{"signature":"s%d","payload":"\xff"}'),
    "gzip": (b"", PLAIN + b"Content-Encoding: gzip\r\n", b""),
    "a false gzip": (b"", PLAIN + b"Content-Encoding: gzip\r\n", item("s%d")),
    "to be closed": (b"", PLAIN + b"Connection: close\r\n", item("s%d")),
}


def _request(name: str, number: int) -> bytes:
    query, headers, body = REQUESTS[name]
    body = body.replace(b"%d", b"%d" % number)
    if name == "gzip":
        body = gzip.compress(item(f"s{number}"))
    head = b"POST /transactions%b HTTP/1.1\r\nHost: gate\r\n%bContent-Length: %d\r\n\r\n"
    return head % (query, headers, len(body)) + body


def _answer(gate: GateProcess, pieces: tuple[bytes, ...]) -> bytes:
    """What one connection is answered, without what differs from time to time."""
    with closing(socket.create_connection(("127.0.0.1", urlsplit(gate.url).port), timeout=10)) as opened:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            opened.sendall(piece)
            if piece is not pieces[-1]:
                select.select([opened], [], [], 0.1)  # some are refused before the body is there
        read = b""
        while (head := re.search(rb"content-length: (\d+).*?\r\n\r\n", read, re.DOTALL)) is None or len(
            read
        ) < head.end() + int(head[1]):
            more = opened.recv(65536)
            assert more, read
            read += more
    read = re.sub(rb"date: [^\r]+", b"date: now", read)
    read = re.sub(rb"content-length: \d+", b"content-length: that of the body", read)  # as was just checked
    return re.sub(rb'("first_seen_ms":)\d+|("signature":"s)\d+', rb"\1\2", read)


def _head_and_body(text: bytes) -> tuple[set[bytes], bytes]:
    head, _, body = text.partition(b"\r\n\r\n")
    return set(head.split(b"\r\n")), body


@pytest.mark.parametrize("name", REQUESTS)
def test_whole_or_in_pieces_a_post_gets_the_same_answer(gate: GateProcess, name: str) -> None:
    """What comes in pieces goes through ASGI."""
    for delivery in range(2):  # the second is a duplicate, if the first was accepted
        whole, cut = (_request(name, number) for number in (1000, 2000))
        pieces = (cut[:-1], cut[-1:]) if REQUESTS[name][2] or name == "gzip" else (cut,)
        fast, slow = (_answer(gate, sent) for sent in ((whole,), pieces))
        assert _head_and_body(fast) == _head_and_body(slow), delivery


@pytest.mark.parametrize("cut", [1, 0])
def test_trailers_are_not_headers(gate: GateProcess, cut: int) -> None:
    body = item("trailed")
    head = b"POST /transactions HTTP/1.1\r\nHost: gate\r\nTransfer-Encoding: chunked\r\n\r\n"
    request = head + b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(body), body, PLAIN)
    pieces = (request[:-cut], request[-cut:]) if cut else (request,)
    assert b" 415 " in _answer(gate, pieces).partition(b"\r\n")[0]


def _fast(runtime: Runtime) -> FastPosts:
    return FastPosts(runtime.plane, runtime.requests)


async def _reply(fast: FastPosts, body: bytes, headers: Headers | None = None) -> Reply:
    answered: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
    assert fast.take(WholeRequest(b"", headers or JSON_HEADERS, body), answered.set_result)
    return await asyncio.wait_for(answered, 60)


def _figures(runtime: Runtime, fast: FastPosts) -> tuple[int, int, int]:
    return fast.requests.count, runtime.plane.body_budget.held, runtime.plane.flush_queue.held_items


async def test_it_is_under_way_until_it_is_answered_and_counted_as_any_request(runtime: Runtime) -> None:
    fast, answered = _fast(runtime), list[Reply]()
    for _ in range(2):
        assert fast.take(WholeRequest(b"source=a", JSON_HEADERS, item("s")), answered.append)
    assert _figures(runtime, fast) == (2, 2 * len(item("s")), 2)
    async with asyncio.timeout(60):
        while len(answered) < 2:
            await asyncio.sleep(0.001)
    assert _figures(runtime, fast) == (0, 0, 0)
    assert [msgspec.json.decode(reply.body)["status"] for reply in answered] == ["accepted", "duplicate"]
    sample = runtime.metrics.registry.get_sample_value
    labels = {"method": "POST", "route": "/transactions", "code": "200"}
    assert sample("tidegate_http_requests_total", labels) == 2
    assert sample("tidegate_source_transactions_total", {"source": "a", "outcome": "accepted"}) == 1
    assert sample("tidegate_ingest_batch_size_count") == 2


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"[]", JSON_HEADERS),
        (b"{}", JSON_HEADERS),
        (item("s"), {b"content-type": b"application/x-ndjson"}),
        (item("s"), JSON_HEADERS | {b"content-encoding": b"gzip"}),
        (item("s", source="a b"), JSON_HEADERS),
        (item("s", payload="x" * LONG_BYTES), JSON_HEADERS),
    ],
)
async def test_what_is_not_plain_and_short_is_left_alone_uncounted(
    runtime: Runtime, body: bytes, headers: Headers
) -> None:
    fast = _fast(runtime)
    assert not fast.take(WholeRequest(b"", headers, body), _never)
    assert _figures(runtime, fast) == (0, 0, 0)
    assert runtime.metrics.outcomes == {}


async def test_a_token_is_asked_for(valkey: StoreServer, settings_for: MakeSettings) -> None:
    async with running(settings_for(valkey, ingest_tokens=("secret",))) as runtime:
        fast = _fast(runtime)
        for given in (b"", b"Bearer wrong", b"Basic secret"):
            headers = JSON_HEADERS | {b"authorization": given}
            assert not fast.take(WholeRequest(b"", headers, item("s")), _never)
        reply = await _reply(fast, item("s"), JSON_HEADERS | {b"authorization": b"Bearer secret"})
        assert reply.status == 200


async def test_a_body_over_the_limit_is_left_to_be_refused(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    body = with_payload(b'"%b"' % (b"x" * 1000), "s")
    for most, is_taken in ((len(body), True), (len(body) - 1, False)):
        async with running(settings_for(valkey, max_payload_bytes=1002, max_body_bytes=most)) as runtime:
            fast, answered = _fast(runtime), list[Reply]()
            assert fast.take(WholeRequest(b"", JSON_HEADERS, body), answered.append) == is_taken
            async with asyncio.timeout(60):
                while is_taken and not answered:
                    await asyncio.sleep(0.001)


Limit = Callable[[Runtime, FastPosts], None]


def _in_flight(runtime: Runtime, fast: FastPosts) -> None:
    fast.requests.count = runtime.settings.max_in_flight_requests


def _bodies(runtime: Runtime, _: FastPosts) -> None:
    runtime.plane.body_budget.most = 3


def _queue(runtime: Runtime, _: FastPosts) -> None:
    runtime.plane.flush_queue.resize(0, 0)


@pytest.mark.parametrize("reach", [_in_flight, _bodies, _queue])
async def test_at_a_limit_it_is_left_to_be_refused(runtime: Runtime, reach: Limit) -> None:
    fast = _fast(runtime)
    reach(runtime, fast)
    before = _figures(runtime, fast)
    assert not fast.take(WholeRequest(b"", JSON_HEADERS, item("s")), _never)
    assert _figures(runtime, fast) == before


async def test_without_a_store_it_is_503_and_is_accepted_when_sent_again(settings_for: MakeSettings) -> None:
    with valkey_server(unix=True) as server:
        async with running(settings_for(server)) as runtime:
            fast = _fast(runtime)
            server.processes[0].kill()
            reply = await _reply(fast, item("s"))
            assert (reply.status, dict(reply.headers)[b"content-type"]) == (503, b"application/problem+json")
            assert int(dict(reply.headers)[b"retry-after"]) >= 1
            assert b"content-length" not in dict(reply.headers)
            assert _figures(runtime, fast) == (0, 0, 0)
            assert runtime.metrics.outcomes == {"failed": 1}


async def test_when_signatures_are_at_their_limit_it_is_503(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    async with running(settings_for(valkey, signatures_limit=6, dedup_window_seconds=60)) as runtime:
        fast = _fast(runtime)
        statuses = [(await _reply(fast, item(f"s{number}"))).status for number in range(8)]
        assert statuses == [200] * 6 + [503] * 2
        assert (await _reply(fast, item("s0"))).status == 200, "a duplicate takes no room"


async def test_a_bug_is_500_and_in_the_log(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(runtime.plane.flush_queue, "_flush", broken)
    fast = _fast(runtime)
    reply = await _reply(fast, item("s"))
    assert (reply.status, msgspec.json.decode(reply.body)["type"]) == (500, "urn:tidegate:problem:internal")
    assert _figures(runtime, fast) == (0, 0, 0)
