"""`GET /stream`: what it answers, from where it goes on, and what it leaves out."""

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from tests.support.consumer_calls import consumer
from tests.support.gate import GateProcess, gate_process
from tests.support.http_calls import problem
from tests.support.streams import EVENTS, items, open_stream, post, raw_stream, signatures

MEMBERS = ["cursor", "signature", "source", "slot", "first_seen_ms", "payload"]


def _get(gate: GateProcess, query: str = "", **headers: str) -> httpx.Response:
    with gate.client() as client:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.get(f"/stream{query}", headers=named)


async def test_what_is_accepted_comes_as_a_line_with_its_members_and_nothing_that_was_there_before(
    gate: GateProcess,
) -> None:
    await post(gate.url, items("before", 3))
    async with open_stream(gate.url) as stream:
        assert stream.response.headers["content-type"] == "application/x-ndjson"
        item = {"signature": "come-1", "source": "helius-a", "slot": 304573958, "payload": {"fee": [2, 1.0]}}
        await post(gate.url, [item])
        line = await stream.line()
        assert list(line) == MEMBERS
        assert {name: line[name] for name in item} == item
        stored = _lookup(gate, "come-1")
        assert line["first_seen_ms"] == stored["first_seen_ms"]


def _lookup(gate: GateProcess, signature: str) -> dict[str, Any]:
    with gate.client() as client:
        found: dict[str, Any] = client.get(f"/transactions/{signature}").json()
        return found


async def test_a_duplicate_does_not_come_and_one_after_the_window_does(gate: GateProcess) -> None:
    async with open_stream(gate.url) as stream:
        await post(gate.url, items("twice", 1))
        await post(gate.url, [*items("twice", 1, "quicknode"), *items("other", 1)])
        assert signatures(await stream.take(2)) == ["twice-0", "other-0"]


async def test_an_event_source_gets_each_line_as_an_event_with_its_cursor_as_id(gate: GateProcess) -> None:
    async with open_stream(gate.url, EVENTS) as stream:
        assert stream.response.headers["content-type"] == "text/event-stream"
        await post(gate.url, items("event", 2, payload="x"))
        events = [await stream.event() for _ in range(2)]
        lines = [json.loads(event["data"]) for event in events]
        assert [list(line) for line in lines] == [MEMBERS] * 2
        assert [event["id"] for event in events] == [line["cursor"] for line in lines]
        assert signatures(lines) == ["event-0", "event-1"]


ODD_PAYLOADS = [
    pytest.param(b'{\n  "a": 1,\r\n\t"b": [\r1\n]}', b'{   "a": 1,  \t"b": [ 1 ]}', id="line-ends"),
    pytest.param(rb'"\n\r and \ud83d"', rb'"\n\r and \ud83d"', id="escapes-and-half-a-surrogate-pair"),
    pytest.param(b"1.0e400", b"1.0e400", id="a-number-no-float-holds"),
    pytest.param('"\u2028 ü"'.encode(), '"\u2028 ü"'.encode(), id="line-separator"),
    pytest.param(b'"%012x %b"', b'"%012x %b"', id="what-looks-like-a-format"),
]


@pytest.mark.parametrize("headers", [{}, EVENTS], ids=["lines", "events"])
@pytest.mark.parametrize(("sent", "shown"), ODD_PAYLOADS)
async def test_a_payload_stands_in_its_line_byte_for_byte_but_for_line_ends(
    gate: GateProcess, headers: dict[str, str], sent: bytes, shown: bytes
) -> None:
    async with open_stream(gate.url, headers) as stream:
        raw = stream.response.aiter_raw()
        with gate.client() as client:
            body = b'{"signature":"odd-%d-%d","payload":%b}' % (len(headers), hash(sent), sent)
            answer = client.post("/transactions", content=body, headers={"Content-Type": "application/json"})
            assert answer.is_success
        text = b""
        async with asyncio.timeout(60):
            while not text.rstrip().endswith(b"}"):
                text += await anext(raw)
        assert text.count(b"\n") == (3 if headers else 1)
        assert text.rstrip().endswith(b',"payload":' + shown + b"}")


@pytest.mark.parametrize("signature", ['"', "\\", 'a"b\\c', "\\n", "%s%012x", "{}", "~" * 128])
@pytest.mark.parametrize("headers", [{}, EVENTS], ids=["lines", "events"])
async def test_any_signature_comes_as_it_was_posted(
    gate: GateProcess, headers: dict[str, str], signature: str
) -> None:
    signature = signature[:127] + "e" * len(headers)
    async with open_stream(gate.url, headers) as stream:
        await post(gate.url, [{"signature": signature}])
        line = json.loads((await stream.event())["data"]) if headers else await stream.line()
        assert line["signature"] == signature


async def test_only_the_sources_that_are_asked_for_come(gate: GateProcess) -> None:
    async with open_stream(gate.url, source=["rpc:1", "rpc.2"]) as stream:
        mixed: list[dict[str, object]] = [
            {"signature": f"mixed-{n}", "source": f"rpc{':.-'[n % 3]}{n % 3 + 1}"} for n in range(9)
        ]
        await post(gate.url, mixed)
        assert signatures(await stream.take(6)) == [f"mixed-{n}" for n in range(9) if n % 3 < 2]


@pytest.mark.parametrize("headers", [{}, EVENTS], ids=["lines", "events"])
async def test_without_payloads_the_lines_have_all_other_members(
    gate: GateProcess, headers: dict[str, str]
) -> None:
    async with open_stream(gate.url, headers, payload="false") as stream:
        await post(gate.url, items(f"bare{len(headers)}", 1, payload={"large": "x" * 1000}))
        line = json.loads((await stream.event())["data"]) if headers else await stream.line()
        assert list(line) == MEMBERS[:-1]


async def test_after_so_many_lines_the_body_ends(gate: GateProcess) -> None:
    async with open_stream(gate.url, limit=3, source="limited") as stream:
        await post(gate.url, [*items("unlimited", 2), *items("limited", 5, "limited")])
        assert signatures(await stream.rest()) == ["limited-0", "limited-1", "limited-2"]


@pytest.mark.parametrize("headers", [{}, EVENTS], ids=["lines", "events"])
async def test_from_every_line_on_the_stream_goes_on_without_losing_or_doubling_one(
    gate: GateProcess, headers: dict[str, str]
) -> None:
    async with open_stream(gate.url, limit=7) as stream:
        for number in range(7):
            await post(gate.url, items(f"resumed-{len(headers)}-{number}", 1))
        lines = await stream.rest()
    for at, line in enumerate(lines[:-1]):
        left = len(lines) - at - 1
        async with open_stream(gate.url, after=line["cursor"], limit=left) as again:
            assert await again.rest() == lines[at + 1 :]
        # An EventSource sends the URL it began with again.
        last = {"Last-Event-ID": line["cursor"]}
        async with open_stream(gate.url, headers | last, from_="oldest", limit=left) as again:
            if headers:
                assert [json.loads((await again.event())["data"]) for _ in range(left)] == lines[at + 1 :]
            else:
                assert await again.rest() == lines[at + 1 :]


async def test_it_begins_with_the_oldest_or_at_a_moment_if_asked_to() -> None:
    with gate_process() as gate:
        for number in range(3):
            await post(gate.url, items(f"kept-{number}", 2))
        async with open_stream(gate.url, from_="oldest", limit=6) as stream:
            lines = await stream.rest()
        assert signatures(lines) == [f"kept-{number}-{at}" for number in range(3) for at in range(2)]
        moment = lines[2]["first_seen_ms"]
        wanted = [line for line in lines if line["first_seen_ms"] >= moment]
        async with open_stream(gate.url, from_=moment, limit=len(wanted)) as stream:
            assert await stream.rest() == wanted


BAD = [
    ("?from=yesterday", "from: 'yesterday' is neither oldest, now nor milliseconds"),
    ("?from=", "from: '' is neither"),
    ("?from=-5", "from: '-5' is neither"),
    ("?from=1e3", "from: '1e3' is neither"),
    ("?from=1796007830874989", "from: 1796007830874989 has yet to come; it is now "),
    ("?from=now&from=now", "from: give it once"),
    ("?from=oldest&after=00000000-00000000000-000000000000", "from, after: give one of them"),
    ("?after=nonsense", "after: 'nonsense' is no cursor"),
    ("?after=", "after: '' is no cursor"),
    ("?after=00000000-00000000000-00000000000", "is no cursor"),
    ("?after=00000000-00000000000-000000000000%0A", "is no cursor"),
    ("?source=", "source: 1 to 64 of"),
    ("?source=helius-a&source=no%20good", "source: 1 to 64 of"),
    (f"?source={'x' * 65}", "source: 1 to 64 of"),
    ("?payload=no", "payload: 'no' is neither true nor false"),
    ("?payload=True", "payload: 'True' is neither"),
    ("?limit=0", "limit: '0' is no whole number from 1"),
    ("?limit=-1", "limit: '-1' is no whole number"),
    ("?limit=1.5", "limit: '1.5' is no whole number"),
    ("?limit=٣", "is no whole number"),
    (f"?limit={10**30}", "is no whole number"),
    ("?limit=1&limit=2", "limit: give it once"),
    ("?form=oldest", "unknown parameter `form`; did you mean `from`?"),
    ("?sources=a", "unknown parameter `sources`; did you mean `source`?"),
    ("?wait_seconds=1", "unknown parameter `wait_seconds`; /stream takes"),
]


@pytest.mark.parametrize(("query", "said"), BAD)
def test_what_cannot_be_taken_is_named(gate: GateProcess, query: str, said: str) -> None:
    problem(_get(gate, query), 422, said)
    problem(_get(gate, query, Accept="text/event-stream"), 422, said)


def test_a_last_event_id_that_is_no_cursor_is_named(gate: GateProcess) -> None:
    problem(_get(gate, Last_Event_ID="17"), 422, "Last-Event-ID: '17' is no cursor")


async def test_a_cursor_of_another_store_or_from_the_future_says_where_to_begin(gate: GateProcess) -> None:
    async with open_stream(gate.url, limit=1) as stream:
        await post(gate.url, items("present", 1))
        [line] = await stream.rest()
    store, moment, ordinal = line["cursor"].split("-")
    other = f"{int(store, 16) ^ 1:08x}-{moment}-{ordinal}"
    problem(_get(gate, f"?after={other}"), 410, "of another store", "from=oldest")
    six = f"{store}-{moment * 6}-{ordinal * 6}"
    problem(_get(gate, f"?after={six}"), 410, "of another store")
    future = f"{store}-{moment}-{int(ordinal, 16) + 1:012x}"
    document = problem(_get(gate, f"?after={future}"), 410, "ever accepted", "from=oldest")
    assert document["type"] == "urn:tidegate:problem:unknown-cursor"
    problem(_get(gate, Last_Event_ID=future), 410, "from=oldest")
    later = f"{store}-{'f' * 11}-{'0' * 12}"
    problem(_get(gate, f"?after={later}"), 410, "ever accepted", "from=oldest")
    async with consumer(gate.url, "unmoved") as bot:
        await bot.lease()
        problem(await bot.ask("seek", {"to": later}), 410, "ever accepted")


def test_head_answers_what_get_begins_with_and_ends(gate: GateProcess) -> None:
    with gate.client() as client:
        head = client.head("/stream", headers=EVENTS)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == "text/event-stream"
        assert client.head("/stream?from=nonsense").status_code == 422
        assert client.get("/livez").is_success, "the connection goes on"


async def test_http_1_0_gets_the_lines_too(gate: GateProcess) -> None:
    async with raw_stream(gate.url, "?limit=2&source=old", version="1.0") as (reader, _):
        await post(gate.url, items("old", 2, "old"))
        async with asyncio.timeout(60):
            lines = [json.loads(line) for line in (await reader.read()).splitlines()]
    assert signatures(lines) == ["old-0", "old-1"]


async def test_a_client_that_half_closes_gets_its_lines_all_the_same(gate: GateProcess) -> None:
    accept = "Accept: text/event-stream"
    async with raw_stream(gate.url, "?limit=2&source=half", accept) as (reader, writer):
        writer.write_eof()
        await post(gate.url, items("half", 2, "half"))
        async with asyncio.timeout(60):
            body = await reader.read()
    assert [body.count(name.encode()) for name in ("data: ", "half-0", "half-1")] == [2, 1, 1]
    assert body.endswith(b"0\r\n\r\n"), "the body has its proper end"


async def test_heartbeats_of_ndjson_have_the_cursor_where_the_client_asks_for_it(gate: GateProcess) -> None:
    accept = "Accept: application/x-ndjson; heartbeat=cursor"
    async with raw_stream(gate.url, "?source=beat", accept, version="1.0") as (reader, writer):
        writer.write_eof()  # which is answered by a heartbeat
        async with asyncio.timeout(60):
            beat = json.loads(await reader.readline())
    assert list(beat) == ["cursor"]
    await post(gate.url, items("beat", 1, "beat"))
    assert _get(gate, f"?limit=1&source=beat&after={beat['cursor']}").json()["signature"] == "beat-0"


async def test_heartbeats_of_ndjson_are_empty_lines_to_all_others(gate: GateProcess) -> None:
    accept = "Accept: application/x-ndjson"
    async with raw_stream(gate.url, "?source=beat", accept, version="1.0") as (reader, writer):
        writer.write_eof()
        async with asyncio.timeout(60):
            assert await reader.readline() == b"\n"


async def test_streams_take_no_place_among_the_requests_and_have_a_limit_of_their_own() -> None:
    with gate_process(max_in_flight_requests=2, stream_readers_limit=4) as gate:
        async with AsyncExitStack() as opened:
            for _ in range(4):
                await opened.enter_async_context(raw_stream(gate.url))
            await post(gate.url, items("beside", 2))
            refused = problem(_get(gate), 503, "4 streams", "TIDEGATE_STREAM_READERS_LIMIT")
            assert refused["type"] == "urn:tidegate:problem:overloaded"
        async with asyncio.timeout(60):
            while _get(gate, "?from=oldest&limit=2").status_code != 200:
                await asyncio.sleep(0.01)  # until it has noticed that they went
