"""Clients that read the stream are counted where they are served, and those of workers added up."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.support.gate import GateProcess, gate_process
from tests.support.processes import wait_until
from tests.support.streams import items, open_stream, post
from tests.support.worker_gates import figure

pytestmark = pytest.mark.server

SECONDS = 30.0


async def is_counted(gate: GateProcess, count: int) -> bool:
    """Whether the gate comes to count so many."""
    return await asyncio.to_thread(
        wait_until, lambda: figure(gate, "stream_subscribers") == count, SECONDS, pause_seconds=0.1
    )


@pytest.mark.parametrize("workers", [1, 2])
async def test_streams_are_counted_while_they_are_open(workers: int) -> None:
    with gate_process(workers=workers) as gate:
        assert await is_counted(gate, 0)
        async with AsyncExitStack() as readers:
            for _ in range(6):  # of several workers some serve
                await readers.enter_async_context(open_stream(gate.url, limit=1))
            assert await is_counted(gate, 6)
            await post(gate.url, items("last", 1))
            assert await is_counted(gate, 0)
