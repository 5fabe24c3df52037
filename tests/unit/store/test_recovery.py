"""A gate whose store serves again is ready after one probe, and the next one is due within half a second.

Sentinels that vouch for no server yet are asked ten times a second.

The probes go by a clock that the test sets. So what is counted are turns of the task that looks for the
store, ten a second (schedule.py), however long each of them takes.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import pytest

from app.errors import StoreError
from app.runtime import Runtime
from app.schedule import STORE_SECONDS
from app.settings.model import Settings
from app.store.store_url import parse_address
from tests.support.scripted_sentinels import scripted_sentinels
from tests.support.servers import valkey_server

pytestmark = pytest.mark.server

TURNS_AWAY = 50
MOST_TURNS = 6  # half a second, and one more for what a tenth of a second is as a float
NAMED_TURNS = 2  # likewise a tenth of a second, where sentinels are asked

Store = tuple[str, Callable[[], None], Callable[[], None]]
"""A store's URL, what takes it away and what brings it back."""


class _Clock:
    """Stands still between the turns that the gate is given."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@asynccontextmanager
async def _restarted() -> AsyncIterator[Store]:
    with valkey_server() as server:
        yield server.url, server.kill, server.restart


@asynccontextmanager
async def _replaced() -> AsyncIterator[Store]:
    """A primary is killed, and the sentinels name another server."""
    with valkey_server() as one, valkey_server() as other:
        async with scripted_sentinels(parse_address(one.url).port) as sentinels:
            port = parse_address(other.url).port
            yield sentinels.url, one.kill, lambda: sentinels.say(port=port, config_epoch=2)


@asynccontextmanager
async def _being_replaced() -> AsyncIterator[Store]:
    """The sentinels hold a primary to be down, and vouch for none until they name another server."""
    with valkey_server() as one, valkey_server() as other:
        async with scripted_sentinels(parse_address(one.url).port) as sentinels:
            port = parse_address(other.url).port

            def take_away() -> None:
                one.kill()
                sentinels.say(flags="master,s_down,o_down")

            yield sentinels.url, take_away, lambda: sentinels.say(port=port, config_epoch=2, flags="master")


@pytest.mark.parametrize(
    ("store", "most_turns"),
    [(_restarted, MOST_TURNS), (_replaced, MOST_TURNS), (_being_replaced, NAMED_TURNS)],
)
async def test_a_gate_is_ready_so_many_turns_after_its_store_serves_again(
    store: Callable[[], AbstractAsyncContextManager[Store]], most_turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = _Clock()
    monkeypatch.setattr("app.store.probe_pace.time", clock)
    async with store() as (url, take_away, bring_back):
        runtime = Runtime(Settings(store_url=url))

        async def is_ready(turn: Callable[[], Awaitable[object]]) -> bool:
            clock.now += STORE_SECONDS
            with suppress(StoreError):
                await turn()
            return not runtime.readiness.reasons()

        upkeep = runtime._upkeep  # noqa: SLF001  whose turns the test counts
        assert await is_ready(upkeep.keep), "the first probe is due at once"
        take_away()
        while await is_ready(upkeep.tick):
            pass
        assert not any([await is_ready(upkeep.keep) for _ in range(TURNS_AWAY)])
        bring_back()
        turns = 1
        while not await is_ready(upkeep.keep):
            turns += 1
            assert turns <= most_turns
        await runtime.session.close()
