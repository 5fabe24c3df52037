"""After a storm resident memory is near where it was, whether or not a limit is set: nothing piles up."""

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

import psutil
import pytest

from tests.support.gate import GateProcess, gate_program
from tests.support.payloads import Payloads, body_of
from tests.support.processes import wait_until
from tests.support.wire import NoAnswerError, connected, request_bytes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

MIB = 1024 * 1024
LIMITS = [{"memory_machine_ratio": 0}, {"memory_limit_bytes": 512 * MIB}]
STAYS_BYTES, BACK_SECONDS = 25 * MIB, 60.0
POSTS, BODIES_A_POST = 24, 3
UPLOADS, UPLOAD_BYTES = 50, 3_900_000
CONNECTIONS, HEADERS = 900, 90


def _residents(gate: GateProcess) -> dict[int, int]:
    """Resident bytes of the gate's own processes: the store is left out, it has its data."""
    gate_and_workers = [psutil.Process(gate.process.pid), *psutil.Process(gate.process.pid).children()]
    return {one.pid: int(one.memory_info().rss) for one in gate_and_workers if "valkey" not in one.name()}


async def _large_bodies(gate: GateProcess) -> None:
    """Whole bodies of 4 MB, many at once; refused or taken, it is the same to the heap."""
    bodies = [body_of(Payloads(seed).items(800)) for seed in range(3)]

    async def post() -> None:
        for body in bodies[:BODIES_A_POST]:
            with suppress(NoAnswerError, TimeoutError):
                async with connected(gate.url, 1) as [connection]:
                    await connection.ask(request_bytes("POST", "/transactions", body))

    await asyncio.gather(*(post() for _ in range(POSTS)))


async def _broken_off_uploads(gate: GateProcess) -> None:
    """Bodies that end before their last byte."""
    start = request_bytes("POST", "/transactions", b"[" + b" " * UPLOAD_BYTES, length=UPLOAD_BYTES + 100)
    with suppress(NoAnswerError, TimeoutError):
        async with connected(gate.url, UPLOADS) as connections:
            await asyncio.gather(*(one.send(start) for one in connections), return_exceptions=True)
            await _until_it_is_held(gate)


async def _unfinished_heads(gate: GateProcess) -> None:
    """Connections that have sent most of a request's head and wait."""
    place = urlsplit(gate.url)
    writers = []
    for _ in range(CONNECTIONS):
        _, writer = await asyncio.open_connection(place.hostname, place.port)
        writer.write(b"GET /livez HTTP/1.1\r\n" + b"".join(b"a%d: b\r\n" % at for at in range(HEADERS)))
        writers.append(writer)
    await _until_it_is_held(gate)
    for writer in writers:
        writer.transport.abort()


async def _until_it_is_held(gate: GateProcess) -> None:
    """Until the gate has taken in what was sent: its memory no longer grows."""
    before, now = 0, sum(_residents(gate).values())
    while now > before:
        await asyncio.sleep(0.5)
        before, now = now, sum(_residents(gate).values())


STORMS = {
    "large bodies": _large_bodies,
    "broken-off uploads": _broken_off_uploads,
    "unfinished heads": _unfinished_heads,
}


def _assert_it_comes_back(gate: GateProcess, before: dict[int, int]) -> None:
    def back() -> bool:
        return all(now <= before[pid] + STAYS_BYTES for pid, now in _residents(gate).items())

    assert wait_until(back, BACK_SECONDS, 0.5), (before, _residents(gate))
    assert _residents(gate).keys() == before.keys(), "no process was started again"


@pytest.mark.parametrize(
    "limit",
    [pytest.param(LIMITS[0], marks=pytest.mark.long), LIMITS[1]],
    ids=["without a limit", "with a limit"],
)
async def test_each_storm_leaves_the_gate_near_its_size_of_before_and_storms_do_not_add_up(
    limit: dict[str, object],
) -> None:
    with gate_program(**limit) as gate:
        await _first_requests(gate)
        before = _residents(gate)
        for storm in (*STORMS.values(), *STORMS.values()):
            await storm(gate)
            await asyncio.to_thread(_assert_it_comes_back, gate, before)


async def test_workers_give_back_what_a_storm_left_in_them() -> None:
    with gate_program(workers=2) as gate:
        await _first_requests(gate)
        before = _residents(gate)
        await _large_bodies(gate)
        await _broken_off_uploads(gate)
        await asyncio.to_thread(_assert_it_comes_back, gate, before)


async def _first_requests(gate: GateProcess) -> None:
    """What a first request fills once (imports, caches) is part of the size of before."""
    async with connected(gate.url, 4) as connections:
        body = body_of(Payloads(9).items(20))
        for one in connections:
            assert (await one.ask(request_bytes("POST", "/transactions", body))).status == 200
