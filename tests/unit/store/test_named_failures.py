"""A gate that is started on a store that fails names the failure everywhere, with what to do."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from tests.support.gate import started
from tests.support.named_failures import assert_named
from tests.support.outages import Begin, busy, killed, password_changed, paused, read_only, too_many_clients
from tests.support.sentinels import watched_servers
from tests.support.servers import StoreServer, redis_server

pytestmark = pytest.mark.server

NO_SENTINELS = "redis+sentinel://127.0.0.1:1,127.0.0.1:2,127.0.0.1:3/gate"


@pytest.fixture(scope="module")
def store_server() -> Iterator[StoreServer]:
    with redis_server() as server:
        yield server


@asynccontextmanager
async def _nothing(_server: StoreServer) -> AsyncIterator[None]:
    """The store is well, and its URL is wrong."""
    yield


def _user(*, keys: str = "*", commands: str = "+@all") -> Begin:
    """Let the user `gate` do so much."""

    @asynccontextmanager
    async def begin(server: StoreServer) -> AsyncIterator[None]:
        [node] = server.nodes()
        with node:
            rights = ["+@all", *commands.split()]
            node.acl_setuser("gate", enabled=True, passwords=["+pw"], keys=[keys], commands=rights)
            yield
            node.acl_deluser("gate")

    return begin


def _as_user(url: str) -> str:
    return url.replace("redis://", "redis://gate:pw@")


def _as_sentinels(url: str) -> str:
    return url.replace("redis://", "redis+sentinel://").replace("/0", "/gate")


@dataclass(frozen=True)
class Row:
    """How the store fails, by which URL the gate knows it, and what has to be said."""

    begin: Begin
    kind: str
    sentence: str
    url: Callable[[str], str] = str


ROWS = {
    "not there": Row(killed, "unreachable", "check that it runs"),
    "silent": Row(paused, "timeout", "within TIDEGATE_STORE_DEADLINE_SECONDS"),
    "a replica": Row(read_only, "read_only", "must name the master"),
    "busy": Row(busy, "busy", "SCRIPT KILL"),
    "too many clients": Row(too_many_clients, "too_many_clients", "raise its maxclients"),
    "no password": Row(password_changed, "denied", "asks for a password, and TIDEGATE_STORE_URL has none"),
    "wrong password": Row(
        _user(), "denied", "check user, password and ACL", lambda url: _as_user(url).replace(":pw", ":xy")
    ),
    "missing right": Row(_user(commands="-pexpireat"), "denied", "the command PEXPIREAT; check", _as_user),
    "other keys": Row(_user(keys="others:*"), "denied", "the keys of TIDEGATE_STORE_PREFIX", _as_user),
    "no sentinels": Row(_nothing, "no_primary", "check the sentinels", lambda _: NO_SENTINELS),
    "no sentinels at all": Row(
        _nothing, "wrong_scheme", "are no sentinels; name their ports, or write redis://", _as_sentinels
    ),
    "no sentinels, but a password": Row(
        password_changed,
        "sentinels_deny",
        "or it is no sentinel",
        lambda url: _as_sentinels(url).replace("://", "://:another@"),
    ),
    "no such database": Row(
        _nothing, "no_database", "no database of the number", lambda url: url.replace("/0", "/99")
    ),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
async def test_a_failure_at_the_start_is_named_everywhere(store_server: StoreServer, row: Row) -> None:
    url = row.url(store_server.url)
    async with row.begin(store_server):
        with started(store_url=url, store_deadline_seconds=1) as gate:
            assert_named(gate, row.kind, row.sentence)


def test_a_renamed_command_is_named_everywhere() -> None:
    with (
        redis_server(options=("--rename-command", "PEXPIREAT", "")) as server,
        started(store_url=server.url) as gate,
    ):
        assert_named(gate, "no_command", "does not know the command PEXPIREAT, which it or a proxy")


@pytest.mark.parametrize("commands", ["+@all", "+@all -info"])
def test_a_sentinel_that_is_named_as_a_server_is_told_everywhere(commands: str) -> None:
    """Also one that does not tell the gate's user what it is by INFO."""
    with watched_servers() as watched:
        with watched.sentinel(0) as sentinel:
            sentinel.execute_command("ACL", "SETUSER", "gate", "on", ">pw", *commands.split())
        with started(store_url=_as_user(watched.sentinels[0].url)) as gate:
            assert_named(gate, "wrong_scheme", "names a sentinel as a server; write redis+sentinel://")
