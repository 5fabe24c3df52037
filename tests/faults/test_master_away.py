"""A master of a Cluster is away for long: the gate's memory stays where it was."""

import asyncio

import psutil
import pytest

from tests.support.gate import gate_program
from tests.support.outages import one_master_paused
from tests.support.servers import cluster_server
from tests.support.steady_load import Steady

MIB = 1 << 20
AWAY_SECONDS = 60
POSTS_A_SECOND = 100


@pytest.mark.long
@pytest.mark.slow
async def test_memory_stays_flat_while_a_master_does_not_answer_under_load() -> None:
    load = Steady("away")
    with cluster_server() as server, gate_program(store_url=server.url) as gate:
        process = psutil.Process(gate.process.pid)
        async with load.running(gate.url, POSTS_A_SECOND):
            while sum(post.status == 200 for post in load.posts) < 5 * POSTS_A_SECOND:
                await asyncio.sleep(0.1)
            before = process.memory_info().rss
            async with one_master_paused(server):
                await asyncio.sleep(AWAY_SECONDS)
                risen = process.memory_info().rss - before
    assert risen < 10 * MIB
