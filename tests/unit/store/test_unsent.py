"""A command that the kernel did not take is sent on another connection; one that it took never is."""

import asyncio
import select
from collections.abc import Iterator

import pytest

from app.settings.model import Settings
from app.store.reconnecting_node import Node
from app.store.shared_connection import AnswerLost, Link, NotConnected
from app.store.store_url import parse_address
from tests.support.deliver import connected_gate, transaction
from tests.support.outages import kill_clients
from tests.support.processes import wait_until
from tests.support.servers import StoreServer, valkey_server

pytestmark = pytest.mark.server

DEADLINE_SECONDS = 30.0


@pytest.fixture(scope="module")
def server() -> Iterator[StoreServer]:
    """A Valkey at a Unix socket: there the kernel refuses each write after the peer has closed."""
    with valkey_server(unix=True) as started:
        yield started


class _KernelAskedBefore:
    """Answers that the connection stands, as the kernel does an instant before the server closes it."""

    def __init__(self, link: Link, server: StoreServer) -> None:
        self._hangups, self._server = link._hangups, server  # noqa: SLF001
        link._hangups = self  # type: ignore[assignment]  # noqa: SLF001

    def poll(self, _milliseconds: float) -> list[tuple[int, int]]:
        """Have the server close it, and say what was so before."""
        kill_clients(self._server)
        assert wait_until(lambda: bool(self._hangups.poll(0)), DEADLINE_SECONDS)
        return []


def _times_called(server: StoreServer, command: str) -> int:
    with server.nodes()[0] as node:
        return int(node.info("commandstats").get(f"cmdstat_{command}", {"calls": 0})["calls"])


def _link(node: Node) -> Link:
    assert node._link is not None  # noqa: SLF001  a connection shows nowhere else
    return node._link  # noqa: SLF001


async def test_a_claim_whose_connection_was_killed_before_its_first_byte_goes_over_a_new_one(
    server: StoreServer,
) -> None:
    gate = await connected_gate(Settings(store_url=server.url, store_deadline_seconds=DEADLINE_SECONDS))
    await gate.flusher.flush([transaction("before")])
    called = _times_called(server, "evalsha")
    _KernelAskedBefore(_link(gate.session._servers._node), server)  # type: ignore[union-attr]  # noqa: SLF001
    [answer] = await gate.flusher.flush([transaction("one")])
    assert answer.verdict == "accepted"
    assert gate.session.is_up
    assert _times_called(server, "evalsha") == called + 1
    await gate.session.close()


async def test_a_call_under_way_is_interrupted_where_the_one_after_it_is_sent_again(
    server: StoreServer,
) -> None:
    node = Node(parse_address(server.url), DEADLINE_SECONDS)
    await node.call("PING")
    under_way = asyncio.create_task(node.call("BLPOP", "none", 0))
    await asyncio.sleep(0)
    _KernelAskedBefore(_link(node), server)
    _link(node)._heard_at = 0.0  # noqa: SLF001  so that the kernel is asked, although a call is under way
    assert await node.call("ECHO", "after") == b"after"
    with pytest.raises(AnswerLost) as caught:
        await under_way
    assert type(caught.value) is AnswerLost, "nobody knows whether it was carried out"
    node.close()


async def test_a_call_that_no_connection_takes_was_not_carried_out_and_is_given_up(
    server: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_open(link: Link) -> bool:
        if link._transport is None:  # noqa: SLF001
            return False
        hangups = select.poll()
        hangups.register(link._transport.get_extra_info("socket"), 0)  # noqa: SLF001
        kill_clients(server)
        return wait_until(lambda: bool(hangups.poll(0)), DEADLINE_SECONDS)

    node = Node(parse_address(server.url), DEADLINE_SECONDS)
    await node.call("PING")
    called = _times_called(server, "echo")
    monkeypatch.setattr(Link, "is_open", is_open)
    with pytest.raises(NotConnected):
        await node.call("ECHO", "never")
    assert _times_called(server, "echo") == called
    node.close()


async def test_a_killed_connection_is_seen_however_lately_it_was_heard_of(server: StoreServer) -> None:
    node = Node(parse_address(server.url), DEADLINE_SECONDS)
    await node.call("PING")
    link = _link(node)
    kill_clients(server)
    link._heard_at = asyncio.get_running_loop().time() + DEADLINE_SECONDS  # noqa: SLF001  as if just now
    assert not link.is_open()
    assert await node.call("ECHO", "after") == b"after"
    node.close()
