"""No body keeps the event loop for long: others have their turns while it is read, however little it says."""

import asyncio
import time
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from gzip import compress
from itertools import pairwise

import msgspec
import pytest

from app.decode import gzip
from app.decode.array_scanner import WINDOW_BYTES, ArrayScanner
from app.decode.arrays import array_items, decode_array, decode_items
from app.decode.body_buffer import BodyBuffer
from app.decode.event_loop_turns import ONE_BY_ONE_BYTES, PACE_BYTES, Pacer
from app.decode.gzip import DEFLATED_STEP, MAX_MEMBERS, Inflater
from app.decode.item import InvalidItem, ItemLimits, ItemResult, decode_item, try_decode_item
from app.decode.ndjson_lines import LineSplitter
from app.errors import ClientError
from app.ingest.batch_summary import MAX_DETAIL_BYTES, Summary
from app.ingest.submitter import LISTED_AT_ONCE
from app.models import Transaction
from app.runtime import Runtime
from tests.conftest import MakeSettings
from tests.support.gate import api_client, running
from tests.support.hostile import BODIES, MIB, Hostile, filled
from tests.support.servers import StoreServer
from tests.support.turns import count_turns

LIMITS = ItemLimits(256 * 1024, 128)
# What is looked at between two turns of others, at the most: a portion of an array, or what a pace lets pass.
BETWEEN_TURNS = 512 * 1024


def inflated(body: bytes, coding: str) -> int:
    """How many bytes a gate has to look at: those that are sent, or what they inflate to, up to the limit."""
    if not coding:
        return min(len(body), 8 * MIB)
    member = zlib.decompressobj(31)
    return len(member.decompress(body, 32 * MIB))


async def longest_turn(until: asyncio.Event) -> float:
    """The most processor time that passed between two turns, in seconds."""
    longest, last = 0.0, time.thread_time()
    while not until.is_set():
        await asyncio.sleep(0)
        now = time.thread_time()
        longest, last = max(longest, now - last), now
    return longest


@pytest.fixture
async def runtime(valkey: StoreServer, settings_for: MakeSettings) -> AsyncIterator[Runtime]:
    async with running(settings_for(valkey)) as started:
        yield started


CHOSEN = [
    "8 MiB of empty arrays",
    "an item of brackets, 8 MiB",
    "white space in an array, 32 MiB, gzip",
    "10,000 items cut at no border",
    "items as large as may be",
    "a key 29,000 times",
    "lone surrogates",
    "newlines, 32 MiB, gzip",
    "newlines, 16 MiB",
    "blank lines, 16 MiB",
    "a line of 32 MiB, gzip",
    "empty members, 8 MiB",
    "empty blocks, 8 MiB",
    "an item of different escapes",
    "2,000 alerts",
]


@pytest.mark.parametrize("name", CHOSEN)
async def test_others_have_their_turns_while_a_hostile_body_is_read(
    runtime: Runtime, name: str, record_property: Callable[[str, object], None]
) -> None:
    hostile: Hostile = BODIES[name]
    body, done = hostile.make(), asyncio.Event()
    headers = {"Content-Type": hostile.media, "Content-Encoding": hostile.coding or "identity"}
    async with api_client(runtime) as client:
        turns = asyncio.create_task(count_turns(done))
        longest = asyncio.create_task(longest_turn(done))
        answer = await client.post(hostile.path, content=body, headers=headers)
        done.set()
    assert answer.status_code in (200, 400, 413, 422), answer.text[:500]
    record_property("longest_turn_cpu_ms", round(1000 * await longest, 1))  # told, not asserted
    assert await turns >= inflated(body, hostile.coding) // BETWEEN_TURNS


async def test_long_bodies_that_come_at_once_are_decoded_one_a_turn(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded, done = [0], asyncio.Event()

    def note(body: bytes, limits: ItemLimits) -> Transaction:
        decoded[0] += 1
        return decode_item(body, limits)

    monkeypatch.setattr("app.api.routes.transactions.decode_item", note)
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    body = compress(b'{"signature":"s","slot":1,"payload":"' + b"x" * 100_000 + b'"}')
    async with api_client(runtime) as client:
        seen = asyncio.create_task(each_turn(lambda: decoded[0], done))
        posts = (client.post("/transactions", content=body, headers=headers) for _ in range(20))
        answers = await asyncio.gather(*posts)
        done.set()
    assert {answer.status_code for answer in answers} == {200}
    assert max(after - before for before, after in pairwise(await seen)) == 1


async def test_errors_of_many_items_are_listed_in_portions(runtime: Runtime) -> None:
    wrong, summary, done = [InvalidItem("no") for _ in range(5_000)], Summary(), asyncio.Event()
    counts = asyncio.create_task(each_turn(lambda: summary.invalid, done))
    await runtime.plane.submitter.submit_batch(wrong, summary, "default")
    done.set()
    seen = await counts
    assert summary.invalid == len(summary.errors) == 5_000
    assert max(after - before for before, after in pairwise(seen)) <= LISTED_AT_ONCE


async def each_turn(read: Callable[[], int], until: asyncio.Event) -> list[int]:
    """What there was to be read at every turn that others had."""
    seen = [read()]
    while not until.is_set():
        await asyncio.sleep(0)
        seen.append(read())
    return seen


def test_errors_that_are_listed_are_bounded_by_what_they_take_in_the_answer() -> None:
    summary, detail = Summary(), "\x01" * 640
    for number in range(2_000):
        summary.note_invalid(number, detail)
    assert summary.truncated
    assert summary.invalid == 2_000
    listed = msgspec.json.encode(summary.as_dict())
    assert MAX_DETAIL_BYTES <= len(listed) <= 1.1 * MAX_DETAIL_BYTES


def test_a_step_of_a_scanner_looks_at_one_window() -> None:
    body = b"[" + b'[],"\\n",{},1 ,' * 100_000 + b"1]"
    scanner, count = ArrayScanner(body, MIB), 0
    while not scanner.is_done:
        scanner.step()
        count += 1
    assert count >= len(body) // WINDOW_BYTES


@pytest.mark.parametrize("cut", range(30))
async def test_items_are_the_same_wherever_windows_end(cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [
        b'"a\\"b"',
        b"[1,2 ]",
        b'{"a":"}]","b\\\\":[{}]}',
        b"1e5",
        b'""',
        b"NaN",
        b'"\\\\"',
        b"[[ ]]",
        b"x" * 50,
    ]
    monkeypatch.setattr("app.decode.array_scanner.WINDOW_BYTES", 2 + cut)
    for space in (b"", b" ", b" " * 70):
        body = b"[" + b",".join(space + item + space for item in items) + b"]"
        found = await array_items(body, 40, 100)
        assert found == [*items[:-1], 50]
        with pytest.raises(ClientError, match="a comma with nothing beside"):
            await array_items(body[:-1] + b"," + space + b"]", 40, 100)
    assert await array_items(b"[" + b" " * 70 + b"]", 40, 100) == []


def told(judged: Sequence[ItemResult]) -> list[object]:
    """What was made of each item, to be compared."""
    return [
        (one.signature, bytes(one.payload)) if isinstance(one, Transaction) else str(one) for one in judged
    ]


@pytest.mark.parametrize("portion", [1, 40, 200, 10_000])
async def test_an_array_is_judged_alike_in_portions_of_any_size(
    portion: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = b'{"signature":"x"},{"signature":"y"},"},{\\"signature\\""'
    lines = [b'{"signature":"s%d","payload":[%b]}' % (n, inner) for n in range(50)]
    lines[20], lines[33] = b"NaN", b'{"signature":1}'
    expected = told(await decode_array(b"[" + b",".join(lines) + b"]", LIMITS, 100))
    monkeypatch.setattr("app.decode.arrays.PORTION_BYTES", 2 * portion)
    monkeypatch.setattr("app.decode.arrays.LONG_WAY_BYTES", portion)
    monkeypatch.setattr("app.decode.arrays.SPREAD_BYTES", 100)
    for comma in (b",", b" , ", b",\n"):
        found = await decode_array(b"[" + comma.join(lines) + b"]", LIMITS, 100)
        assert told(found) == expected
        with pytest.raises(ClientError, match="more than 49 items"):
            await decode_array(b"[" + comma.join(lines) + b"]", LIMITS, 49)


async def test_members_without_an_end_are_refused_after_so_many() -> None:
    empty = zlib.compressobj(wbits=31).flush()
    inflater = Inflater(MIB)
    made = list(inflater.decode(empty * MAX_MEMBERS))
    # A step for each member, and one more for each that is cut where the part of the body is.
    assert MAX_MEMBERS <= len(made) <= MAX_MEMBERS + len(empty) * MAX_MEMBERS // DEFLATED_STEP
    assert not any(made)
    with pytest.raises(ClientError, match=f"more than {MAX_MEMBERS} members"):
        list(inflater.decode(empty))


async def test_a_pace_lets_others_on_after_so_much_work_and_so_many_steps() -> None:
    done, pace = asyncio.Event(), Pacer()
    turns = asyncio.create_task(count_turns(done))
    await asyncio.sleep(0)
    for _ in range(1000):
        await pace.spend(0)
    done.set()
    assert await turns >= 1000 * 1024 // PACE_BYTES


async def test_long_items_are_decoded_in_turns_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded, done = [0], asyncio.Event()

    def note(item: bytes, limits: ItemLimits) -> ItemResult:
        decoded[0] += len(item)
        return try_decode_item(item, limits)

    monkeypatch.setattr("app.decode.arrays.try_decode_item", note)
    sizes = [100, 200_000, 100, 100_000, 100_000, *[1_000] * 500]
    items = [filled(b'{"signature":"', b"s", b'"}', size) for size in sizes]
    seen = asyncio.create_task(each_turn(lambda: decoded[0], done))
    assert len(await decode_items(items, LIMITS)) == len(items)
    done.set()
    assert max(after - before for before, after in pairwise(await seen)) == 200_000 > ONE_BY_ONE_BYTES


async def test_pieces_of_a_byte_are_put_together() -> None:
    gathered = BodyBuffer()
    for _ in range(200_000):
        gathered.add(b"x")
    whole, rest = divmod(200_000, gzip.PIECE_BYTES)
    assert [len(piece) for piece in gathered.pieces] == [gzip.PIECE_BYTES] * whole + [rest]
    assert await gathered.whole(Pacer()) == b"x" * 200_000


def test_a_line_in_pieces_of_a_byte_is_put_together_once() -> None:
    splitter = LineSplitter(100_000)
    for _ in range(100_001):
        assert splitter.feed(b"x") == []
    assert splitter.pending_bytes == 0
    assert splitter.feed(b"\n") == [100_001]
