"""The tail is told of what its process accepts while it reads, and costs a flush nothing else."""

import asyncio

from app.consumers.waiter import Waiter
from app.ingest.flush import Flusher
from app.models import AcceptanceSignal
from tests.support.deliver import transaction
from tests.support.streams import WAIT_SECONDS
from tests.support.way_out import Out


def _is_heard(signal: AcceptanceSignal) -> bool:
    return signal.listener is not None


async def test_a_flush_calls_the_tail_while_it_reads_and_not_otherwise(out: Out) -> None:
    plane, tail, signal = out.runtime.plane, out.tail, out.signal
    flusher, told = Flusher(plane.maps, plane.metrics, plane.sources, signal=signal), list[str]()
    await flusher.flush([transaction("before")])
    assert not _is_heard(signal)
    waiting = asyncio.create_task(tail.wait(Waiter(), WAIT_SECONDS))
    async with asyncio.timeout(WAIT_SECONDS):
        while not _is_heard(signal):
            await asyncio.sleep(0.001)
    signal.listener = lambda: told.append("accepted")
    await flusher.flush([transaction("before")])
    assert told == [], "a duplicate"
    await flusher.flush([transaction("before"), transaction("meanwhile")])
    assert told == ["accepted"]
    await waiting
    await tail.close()
    assert not _is_heard(signal)
