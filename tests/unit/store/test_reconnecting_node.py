"""Connections to nodes that are closed, retired or taken out of their cluster while calls are under way."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.errors import StoreClusterDown, StoreUnreachable
from app.metrics.catalogue import Metrics
from app.store.cluster import Cluster
from app.store.connector import StoreConnector
from app.store.partitions import key_slot
from app.store.reconnecting_node import Node, Single
from app.store.session import StoreSession
from app.store.shared_connection import NotConnected
from app.store.store_url import parse_address
from tests.support.proxy import tcp_server

DEADLINE_SECONDS = 30.0
ALL_SLOTS = 16_383


class Scripted:
    """Answers each command by its first word, and counts the connections that are open to it."""

    def __init__(self, answers: dict[bytes, Callable[[], bytes]]) -> None:
        self._answers = answers
        self.holds = b""
        self.is_held = asyncio.Event()
        self.go_on = asyncio.Event()
        self.open_connections = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what is asked on one connection; what `holds` names is answered after `go_on`."""
        self.open_connections += 1
        try:
            while line := await reader.readline():
                words = [await self._word(reader) for _ in range(int(line[1:]))]
                if words[0] == self.holds:
                    self.is_held.set()
                    await self.go_on.wait()
                writer.write(self._answers.get(words[0], lambda: b"+OK\r\n")())
        finally:
            self.open_connections -= 1

    async def none_open(self) -> None:
        """Wait until every connection is closed."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while self.open_connections:
                await asyncio.sleep(0.01)

    @staticmethod
    async def _word(reader: asyncio.StreamReader) -> bytes:
        return (await reader.readexactly(int((await reader.readline())[1:]) + 2))[:-2]


def _node(url: str) -> Node:
    return Node(parse_address(url), DEADLINE_SECONDS)


def _slots(*ports: int) -> bytes:
    """`CLUSTER SLOTS` of a cluster whose masters are at these ports; the last has most of the slots."""
    last = len(ports) - 1
    ranges = ((at, ALL_SLOTS if at == last else at, port) for at, port in enumerate(ports))
    entries = (b"*3\r\n:%d\r\n:%d\r\n*2\r\n$9\r\n127.0.0.1\r\n:%d\r\n" % found for found in ranges)
    return b"*%d\r\n%b" % (len(ports), b"".join(entries))


@asynccontextmanager
async def _connecting(
    deadline_seconds: float = DEADLINE_SECONDS,
) -> AsyncIterator[tuple[Node, Scripted, asyncio.Task[Any]]]:
    """A node that connects for a call, to a server that holds the login; at the end no connection is open."""
    server = Scripted({})
    server.holds = b"CLIENT"
    async with tcp_server(server.handle) as url:
        node = Node(parse_address(url), deadline_seconds)
        call = asyncio.create_task(node.call("PING"))
        await server.is_held.wait()
        yield node, server, call
        await server.none_open()


async def test_a_node_closed_while_it_connects_leaves_no_connection_open() -> None:
    async with _connecting() as (node, server, call):
        node.close()
        server.go_on.set()
        with pytest.raises(NotConnected):
            await call


async def test_a_retired_node_answers_what_is_under_way_and_closes_its_connection_then() -> None:
    server = Scripted({})
    server.holds = b"PING"
    async with tcp_server(server.handle) as url:
        node = _node(url)
        await node.call("ECHO")
        call = asyncio.create_task(node.call("PING"))
        await server.is_held.wait()
        node.retire()
        server.go_on.set()
        assert await call == b"OK"
        await server.none_open()


async def test_a_retired_node_whose_caller_gave_up_while_it_connected_keeps_no_connection_open() -> None:
    async with _connecting(deadline_seconds=1.0) as (node, server, call):
        node.retire()
        call.cancel()
        server.go_on.set()


async def test_a_retired_node_still_sends_the_call_for_which_it_connected() -> None:
    async with _connecting() as (node, server, call):
        node.retire()
        server.go_on.set()
        assert await call == b"OK"


async def test_a_call_that_was_moved_to_a_node_the_map_does_not_have_is_answered() -> None:
    """A node that gets its first slot: the old master sends calls there before others have heard of it."""
    new, old = Scripted({b"GET": lambda: b"+stored\r\n"}), Scripted({})
    new.holds = b"GET"
    async with tcp_server(new.handle) as new_url, tcp_server(old.handle) as old_url:
        old_port, new_port = parse_address(old_url).port, parse_address(new_url).port
        slot = key_slot(b"key")
        old._answers |= {  # noqa: SLF001  the ports are known only now
            b"CLUSTER": lambda: _slots(old_port),
            b"GET": lambda: b"-MOVED %d 127.0.0.1:%d\r\n" % (slot, new_port),
        }
        cluster = Cluster(_node(old_url), DEADLINE_SECONDS)
        await cluster.read_slots()
        call = asyncio.create_task(cluster.call("key", "GET", "key"))
        await new.is_held.wait()
        await cluster.read_slots()
        new.go_on.set()
        assert await call == b"stored"
        await new.none_open()
        await cluster.close()


async def test_the_map_of_a_node_that_was_taken_out_of_the_cluster_is_not_believed() -> None:
    """After `CLUSTER RESET` a node serves no slot and knows no other node; its map is empty."""
    gone, left = Scripted({b"CLUSTER": lambda: b"*0\r\n"}), Scripted({b"GET": lambda: b"+stored\r\n"})
    async with tcp_server(gone.handle) as gone_url, tcp_server(left.handle) as left_url:
        alone = Cluster(_node(gone_url), DEADLINE_SECONDS)
        with pytest.raises(StoreClusterDown):
            await alone.read_slots()
        await alone.close()
        ports = [parse_address(left_url).port]
        left._answers[b"CLUSTER"] = lambda: _slots(ports[0])  # noqa: SLF001  the port is known only now
        cluster = Cluster(_node(left_url), DEADLINE_SECONDS)
        await cluster.read_slots()
        left._answers[b"CLUSTER"] = lambda: b"*0\r\n"  # noqa: SLF001
        with pytest.raises(StoreClusterDown):
            await cluster.read_slots()
        assert await cluster.call("key", "GET", "key") == b"stored", "the map before it still holds"
        await cluster.close()


async def test_of_a_node_that_hangs_the_map_is_not_waited_for_where_another_has_it() -> None:
    """With a deadline for one after another, the test would be ended first."""
    hung, well = Scripted({}), Scripted({})
    async with tcp_server(hung.handle) as hung_url, tcp_server(well.handle) as well_url:
        ports = [parse_address(url).port for url in (hung_url, well_url)]
        well._answers[b"CLUSTER"] = lambda: _slots(*ports)  # noqa: SLF001  the ports are known only now
        cluster = Cluster(_node(well_url), DEADLINE_SECONDS)
        await cluster.read_slots()
        await cluster.connect(DEADLINE_SECONDS)
        hung.holds = b"CLUSTER"
        async with asyncio.timeout(0.9 * DEADLINE_SECONDS):
            await cluster.read_slots()
        assert hung.is_held.is_set(), "it was asked first"
        hung.go_on.set()
        await cluster.close()


async def test_a_call_whose_connection_the_session_closed_does_not_change_why_the_store_is_down() -> None:
    """A probe asks all partitions at once: the first to fail says why, and ends the calls of the others."""
    server = Scripted({})
    server.holds = b"EVALSHA"
    async with tcp_server(server.handle) as url:
        session = StoreSession(StoreConnector(url, DEADLINE_SECONDS), Metrics(64, "test"))
        session._servers = Single(_node(url))  # noqa: SLF001  as after a probe
        session.down_reason = StoreClusterDown("CLUSTERDOWN")
        call = asyncio.create_task(session.run_unguarded("sizes", "prefix", []))
        await server.is_held.wait()
        await session.close()
        with pytest.raises(StoreUnreachable):
            await call
        assert isinstance(session.down_reason, StoreClusterDown)
        server.go_on.set()
