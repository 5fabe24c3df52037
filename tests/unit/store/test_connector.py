"""Every way to reach a store, and a name for every way it can fail."""

import asyncio
from pathlib import Path

import pytest

from app.errors import (
    Overloaded,
    StoreDenied,
    StoreFull,
    StoreReadOnly,
    StoreTimeout,
    StoreUnreachable,
    StoreUnsupported,
)
from app.metrics.catalogue import Metrics
from app.settings.model import Settings
from app.store import server_identity
from app.store.connector import StoreConnector
from app.store.maps import Maps
from app.store.session import StoreSession
from app.store.settings_in_force import LiveSettings
from tests.conftest import MakeSettings
from tests.support.deliver import connected_gate, transaction
from tests.support.servers import StoreServer, make_tls, redis_server, valkey_server

pytestmark = pytest.mark.server


async def _accepts(url: str) -> bool:
    gate = await connected_gate(Settings(store_url=url))
    [answer] = await gate.flusher.flush([transaction("one")])
    await gate.session.close()
    return answer.verdict == "accepted"


async def _down_reason(url: str) -> Exception | None:
    settings = Settings(store_url=url, store_deadline_seconds=0.3)
    session = StoreSession(StoreConnector(url, 0.3), Metrics(64, "test"))
    await session.probe(Maps(session, LiveSettings(settings).layout).sizes)
    await session.close()
    return session.down_reason


async def test_tcp_with_a_password_and_a_unix_socket_are_taken() -> None:
    with valkey_server(password="s3cret/@:") as tcp, redis_server(unix=True) as unix:
        assert await _accepts(tcp.url)
        assert await _accepts(unix.url)


async def test_resp3_is_spoken_where_the_url_says_so_with_a_password_too(store: StoreServer) -> None:
    assert await _accepts(f"{store.url}?protocol=3")
    with valkey_server(password="s3cret/@:") as server:
        assert await _accepts(f"{server.url}?protocol=3")
        assert isinstance(await _down_reason(f"{server.url}?protocol=3".replace("s3c", "s4c")), StoreDenied)


async def test_tls_is_taken_with_its_authority_and_refused_without(tmp_path: Path) -> None:
    with redis_server(tls=make_tls(tmp_path)) as server:
        assert await _accepts(server.url)
        assert isinstance(await _down_reason(server.url.partition("?")[0]), StoreUnreachable)


async def test_a_wrong_password_is_named_denied() -> None:
    with valkey_server(password="right") as server:
        assert isinstance(await _down_reason(server.url.replace("right", "wrong")), StoreDenied)


async def test_what_is_asked_before_the_first_connection_hears_why_there_is_none() -> None:
    with valkey_server(password="right") as server:
        settings = Settings(store_url=server.url.replace("right", "wrong"))
        session = StoreSession(StoreConnector(settings.store_url or "", 3.0), Metrics(64, "test"))
        maps = Maps(session, LiveSettings(settings).layout)
        await session.probe(maps.sizes)
        with pytest.raises(StoreDenied):
            await maps.lookup(bytes(16))
        await session.close()


def test_a_figure_of_thousands_of_digits_is_left_as_text() -> None:
    digits = "9" * 5000
    assert server_identity.parse_info(f"uptime:{digits}".encode(), "server") == {"uptime": digits}


async def test_nothing_listening_is_named_unreachable() -> None:
    assert isinstance(await _down_reason("redis://127.0.0.1:1"), StoreUnreachable)


async def test_a_store_that_does_not_answer_is_named_timeout() -> None:
    with valkey_server() as server:
        server.pause()
        reason = await _down_reason(server.url)
        server.resume()
    assert isinstance(reason, StoreTimeout)


async def test_a_full_store_is_named_full_and_stays_up(settings_for: MakeSettings) -> None:
    with valkey_server(maxmemory="4mb") as server:
        gate = await connected_gate(settings_for(server))
        [node] = server.nodes()
        with node:
            node.eval(
                "for i = 1, 100 do redis.pcall('SET', 'foreign' .. i, string.rep('x', 60000), 'EX', 60) end",
                0,
            )
            with pytest.raises(StoreFull):
                await gate.flusher.flush([transaction("one")])
            assert gate.session.is_up, "looking up and cleaning up still work"
            node.config_set("lazyfree-lazy-user-flush", "no")  # else a thread frees what it held, later
            node.flushall()
            [answer] = await gate.flusher.flush([transaction("one")])
            assert answer.verdict == "accepted"
        await gate.session.close()


async def test_a_replica_is_named_read_only() -> None:
    with valkey_server() as server:
        gate = await connected_gate(Settings(store_url=server.url))
        [node] = server.nodes()
        with node:
            node.replicaof("127.0.0.1", "1")
            with pytest.raises((StoreReadOnly, StoreUnreachable)) as caught:
                await gate.flusher.flush([transaction("one")])
            assert isinstance(caught.value, StoreReadOnly)
        await gate.session.close()


async def test_a_server_that_is_too_old_is_named_unsupported(
    monkeypatch: pytest.MonkeyPatch, valkey: StoreServer
) -> None:
    monkeypatch.setitem(server_identity.MIN_MAJOR, "valkey", 99)
    reason = await _down_reason(valkey.url)
    assert isinstance(reason, StoreUnsupported)
    assert "too old" in str(reason)


async def test_scripts_are_loaded_again_after_script_flush(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(settings_for(store))
    for node in store.nodes():
        with node:
            node.script_flush()
    answers = await gate.flusher.flush([transaction(f"after-{n}") for n in range(20)])
    assert {answer.verdict for answer in answers} == {"accepted"}
    await gate.session.close()


async def test_an_attempt_that_finds_every_connection_taken_leaves_it_to_the_next(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    """The calls of the attempt before may still wait for a store that hung."""
    settings = settings_for(valkey)
    session = StoreSession(StoreConnector(str(settings.store_url), 1.0), Metrics(64, "test"))

    async def crowded() -> None:
        raise Overloaded("more calls wait for the store than it answers in time")

    await session.probe(crowded)
    assert session.down_reason is not None
    await session.probe(Maps(session, LiveSettings(settings).layout).sizes)
    assert session.is_up
    await session.close()


async def test_more_calls_at_once_than_may_be_under_way_are_all_served_over_one_connection(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(settings_for(store))
    flushes = (gate.flusher.flush([transaction(f"many-{n}")]) for n in range(200))
    answers = await asyncio.gather(*flushes)
    assert [answer.verdict for [answer] in answers] == ["accepted"] * 200
    for node in store.nodes():
        with node:
            clients = [c for c in node.client_list() if c["name"] == "tidegate"]
            assert len(clients) <= 1
    await gate.session.close()


async def test_the_database_that_a_url_names_is_used(valkey: StoreServer) -> None:
    assert await _accepts(f"{valkey.url}?db=1")
    assert not await _accepts(f"{valkey.url}?db=1"), "a duplicate there"
    assert await _accepts(valkey.url)
    for node in valkey.nodes(db=1):
        with node:
            node.flushdb()


async def test_a_client_name_is_that_of_the_connections(valkey: StoreServer) -> None:
    gate = await connected_gate(Settings(store_url=f"{valkey.url}?client_name=gate-7"))
    for node in valkey.nodes():
        with node:
            assert "gate-7" in [client["name"] for client in node.client_list()]
    await gate.session.close()
