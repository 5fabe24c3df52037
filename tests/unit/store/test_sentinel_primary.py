"""A primary is called while a majority of the sentinels vouches for it, and its answers count no longer."""

import asyncio
from collections.abc import Iterator

import pytest

from app.errors import StoreDenied, StoreNoPrimary, StoreUnsupported
from app.store import sentinel
from app.store.error_mapping import as_store_error
from app.store.partitions import ledger_key
from app.store.shared_connection import AnswerLost, NotConnected
from app.store.store_errors import StoreWithoutService, StoreWrongScheme
from app.store.store_url import parse_address
from tests.support.scripted_sentinels import (
    LONG_MS,
    NONE_MS,
    call_on,
    connector_of,
    primary_of,
    refusal_of,
    scripted_sentinels,
    watched,
)
from tests.support.servers import StoreServer, cluster_server, valkey_server

pytestmark = pytest.mark.server

NEVER_SECONDS = 3600.0
LONG_AGO_MS = 1_800_000  # before the server was started, and within what the scripted sentinels bear
LEDGER = ledger_key("tidegate:{0}")


@pytest.fixture
def server() -> Iterator[StoreServer]:
    """A Valkey at a port, which a test may stop and start again."""
    with valkey_server() as started:
        yield started


def _make_replica(server: StoreServer) -> None:
    with server.nodes()[0] as node:
        node.replicaof("127.0.0.1", "1")


def _run_id(server: StoreServer) -> str:
    with server.nodes()[0] as node:
        return str(node.info("server")["run_id"])


def _write_ledger(server: StoreServer) -> None:
    with server.nodes()[0] as node:
        node.set(LEDGER, "something")


@pytest.mark.usefixtures("only_when_called")
async def test_while_what_the_sentinels_said_holds_a_call_asks_none_of_them(server: StoreServer) -> None:
    async with watched(server) as (sentinels, _), primary_of(sentinels.url) as primary:
        asked = sentinels.asked
        assert [await primary.call("", "ECHO", "one") for _ in range(10)] == [b"one"] * 10
        assert [*(await primary.call_each("ECHO", "two")).values()] == [b"two"]
        assert sentinels.asked == asked


@pytest.mark.usefixtures("only_when_called")
async def test_where_it_holds_for_no_time_they_are_asked_before_and_after_a_call(server: StoreServer) -> None:
    async with watched(server) as (sentinels, _):
        sentinels.say(down_after_milliseconds=NONE_MS)
        async with primary_of(sentinels.url) as primary:
            asked = sentinels.asked
            assert await primary.call("", "ECHO", "one") == b"one"
            assert sentinels.asked - asked == 2 * 3


@pytest.mark.usefixtures("only_when_called")
async def test_nothing_is_sent_to_a_server_for_which_nobody_vouches(server: StoreServer) -> None:
    async with watched(server) as (sentinels, proxy):
        sentinels.say(down_after_milliseconds=NONE_MS)
        async with primary_of(sentinels.url) as primary:
            sentinels.say(flags="s_down,master,disconnected")
            with pytest.raises(StoreNoPrimary, match="0 of 3 sentinels vouch"):
                await primary.call("", "SET", "written", "never")
            assert not any(b"never" in command for command in proxy.commands)
            sentinels.say(flags="master")
            assert await primary.call("", "ECHO", "again") == b"again"


@pytest.mark.usefixtures("only_when_called")
async def test_an_answer_that_came_after_another_server_took_over_is_not_believed(
    server: StoreServer,
) -> None:
    async with watched(server) as (sentinels, proxy):
        sentinels.say(down_after_milliseconds=NONE_MS)
        async with primary_of(sentinels.url) as primary:
            proxy.hold_answers()
            call = asyncio.create_task(primary.call("", "SET", "written", "here"))
            await proxy.has_held(len(b"+OK\r\n"))
            sentinels.say(port=1, config_epoch=2)
            proxy.pass_on()
            with pytest.raises(StoreNoPrimary, match="another primary now"):
                await call
            with pytest.raises(StoreNoPrimary):
                await primary.call("", "ECHO", "one")


async def test_a_primary_is_left_as_soon_as_one_sentinel_tells_of_a_later_one(server: StoreServer) -> None:
    """Calls under way fail, though what the others said would still hold for long."""
    async with watched(server) as (sentinels, proxy), primary_of(sentinels.url) as primary:
        proxy.hold_answers()
        call = asyncio.create_task(primary.call("", "SET", "written", "here"))
        await proxy.has_held(len(b"+OK\r\n"))
        sentinels.all[2].fields |= {"port": 1, "config-epoch": 2}
        with pytest.raises(AnswerLost):
            await call
        with pytest.raises(StoreNoPrimary, match="another primary now"):
            await primary.call("", "ECHO", "one")


async def test_while_a_failover_that_somebody_ordered_is_under_way_nothing_counts(
    server: StoreServer,
) -> None:
    """The primary is not down, so what the sentinels said before would still hold for long."""
    async with watched(server) as (sentinels, _), primary_of(sentinels.url) as primary:
        sentinels.all[0].fields["flags"] = "master,failover_in_progress,force_failover"
        with pytest.raises(StoreNoPrimary, match="one is replacing it"):
            await call_on(primary)
        sentinels.all[0].fields["flags"] = "master"
        assert await primary.call("", "ECHO", "one") == b"one"


@pytest.mark.usefixtures("only_when_called")
async def test_a_call_that_waits_for_the_sentinels_when_all_is_closed_fails_and_is_not_cancelled(
    server: StoreServer,
) -> None:
    async with watched(server) as (sentinels, _):
        sentinels.say(down_after_milliseconds=NONE_MS)
        async with primary_of(sentinels.url) as primary:
            asked = sentinels.asked
            for one in sentinels.all:
                one.goes_on.clear()
            calls = [asyncio.create_task(primary.call("", "SET", "written", "never")) for _ in range(2)]
            while sentinels.asked < asked + 3:
                await asyncio.sleep(0.005)
            await primary.close()
            for outcome in await asyncio.gather(*calls, return_exceptions=True):
                assert isinstance(outcome, StoreNoPrimary)


async def test_a_server_without_data_is_believed_when_the_sentinels_know_that_it_was_started(
    server: StoreServer,
) -> None:
    async with watched(server) as (sentinels, _):
        sentinels.say(runid="of-the-process-before")
        assert "is empty, and the sentinels have not noticed yet" in await refusal_of(sentinels.url)
        for one in sentinels.all[:2]:
            one.fields["runid"] = _run_id(server)
        async with primary_of(sentinels.url) as primary:
            assert await primary.call("", "ECHO", "one") == b"one"


@pytest.mark.parametrize("learned", ["last-ok-ping-reply", "runid"])
async def test_a_server_that_was_started_with_data_is_believed_when_the_sentinels_have_heard_of_it(
    server: StoreServer, learned: str
) -> None:
    """What it has may be of long ago, and they may be about to replace it, having missed its answers."""
    _write_ledger(server)
    async with watched(server) as (sentinels, _):
        sentinels.say(runid="of-the-process-before", last_ok_ping_reply=LONG_AGO_MS)
        assert "the sentinels had no answer of it since" in await refusal_of(sentinels.url)
        for one in sentinels.all[:2]:
            one.fields[learned] = 0 if learned == "last-ok-ping-reply" else _run_id(server)
        async with primary_of(sentinels.url) as primary:
            assert await primary.call("", "ECHO", "one") == b"one"


async def test_another_process_at_the_same_place_is_found_out_before_anything_is_sent_to_it(
    server: StoreServer,
) -> None:
    async with watched(server) as (sentinels, proxy), primary_of(sentinels.url) as primary:
        server.kill()
        server.restart()
        await proxy.none_open()
        with pytest.raises(StoreNoPrimary, match="was started anew"):
            await primary.call("", "SET", "written", "never")
        assert not any(b"never" in command for command in proxy.commands)


async def test_a_replica_that_the_sentinels_name_is_refused(server: StoreServer) -> None:
    _make_replica(server)
    async with watched(server) as (sentinels, _):
        assert "which is a replica" in await refusal_of(sentinels.url)


async def test_a_url_that_names_one_of_three_sentinels_leads_to_the_others(server: StoreServer) -> None:
    async with watched(server) as (sentinels, _), primary_of(sentinels.url_of(1)):
        assert all(one.asked for one in sentinels.all)


async def test_a_sentinel_that_is_reached_by_two_addresses_is_no_majority(server: StoreServer) -> None:
    async with watched(server) as (sentinels, _):
        for one in sentinels.all:
            one.sentinel_id, one.others = "the-same", []
        assert await refusal_of(sentinels.url) == "1 of 3 sentinels vouch for the primary"


async def test_a_sentinel_that_cannot_be_reached_is_named(server: StoreServer) -> None:
    async with watched(server) as (sentinels, _):
        sentinels.say(flags="s_down,master")
        refusal = await refusal_of(f"{sentinels.url.removesuffix('/gate')},127.0.0.1:1/gate")
        assert refusal.startswith("0 of 3 sentinels vouch for the primary; 127.0.0.1:1: ")


async def test_a_service_that_the_sentinels_do_not_watch_is_named(server: StoreServer) -> None:
    async with watched(server) as (sentinels, _), connector_of(f"{sentinels.url}s") as connector:
        with pytest.raises(StoreWithoutService, match="No such master with that name"):
            await connector.connect()


async def test_a_primary_that_does_not_let_one_in_is_left_when_another_is_named(server: StoreServer) -> None:
    async with watched(server) as (sentinels, proxy):
        proxy.hold_answers()
        refusal = asyncio.create_task(refusal_of(sentinels.url))
        while not proxy.commands:
            await asyncio.sleep(0.005)
        sentinels.say(port=1, config_epoch=2)
        assert "another primary now" in await refusal


@pytest.mark.slow
async def test_sentinels_take_longer_to_connect_to_than_to_answer(
    server: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sentinel, "MOST_SECONDS", 1.5)
    async with watched(server) as (sentinels, _):
        for one in sentinels.all:
            one.answer_seconds = 0.8  # a login takes two answers
        async with primary_of(sentinels.url_of(0)) as primary:
            assert await primary.call("", "PING") == b"PONG"


async def test_what_is_no_sentinel_is_named(server: StoreServer) -> None:
    place = server.url.removeprefix("redis://").partition("/")[0]
    async with connector_of(f"redis+sentinel://{place}/gate") as connector:
        with pytest.raises(StoreWrongScheme, match=f"{place}: .*unknown command"):
            await connector.connect()


async def test_a_node_of_a_cluster_is_no_primary() -> None:
    with cluster_server(masters=1) as cluster:
        async with (
            scripted_sentinels(parse_address(cluster.url).port) as sentinels,
            connector_of(sentinels.url) as connector,
        ):
            with pytest.raises(StoreUnsupported):
                await connector.connect()


async def test_a_user_who_may_not_ask_for_the_role_is_told_the_command(server: StoreServer) -> None:
    with server.nodes()[0] as node:
        node.acl_setuser("gate", enabled=True, passwords=["+pw"], keys=["*"], commands=["+@all", "-info"])
    async with watched(server) as (sentinels, _):
        sentinels.say(down_after_milliseconds=LONG_MS)
        async with connector_of(sentinels.url.replace("//", "//gate:pw@")) as connector:
            with pytest.raises(NotConnected) as caught:
                await connector.connect()
        denied = as_store_error(caught.value)
        assert isinstance(denied, StoreDenied)
        assert denied.command == "INFO"
