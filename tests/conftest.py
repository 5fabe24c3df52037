"""Fixtures every test may use: the stores of the matrix, settings for them, gates in front of them."""

import gc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from functools import cache

import httpx
import pytest
from hypothesis import HealthCheck, settings

from app.runtime import Runtime
from app.settings.model import Settings
from tests.support import server_starts
from tests.support.gate import api_client, running
from tests.support.keys import keys_without_expiry
from tests.support.servers import StoreServer, cluster_server, redis_server, valkey_server
from tests.support.surroundings import stop_inheriting

STORES: dict[str, Callable[[], StoreServer]] = {
    "valkey": lambda: valkey_server(unix=True),
    "redis": redis_server,
    "cluster": cluster_server,
}

MakeSettings = Callable[..., Settings]


def pytest_configure() -> None:
    """Before anything is started, in every process that runs tests."""
    stop_inheriting()
    # Its deadline of 200 ms an example, and what it finds too slow, are those of an idle machine.
    settings.register_profile(
        "tidegate", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
    )
    settings.load_profile("tidegate")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        server_starts.mark(item)


def pytest_collection_finish() -> None:
    """Have the garbage collector leave out what all tests have loaded, half a million objects that stay.

    A full look at them takes 0.3 seconds, and tests ask for one, as does what they test.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    server_starts.watch(item)


@pytest.fixture(scope="session")
def valkey_session() -> Iterator[StoreServer]:
    with STORES["valkey"]() as server:
        yield server


@pytest.fixture(scope="session")
def started_stores() -> Iterator[Callable[[str], StoreServer]]:
    """The stores of the matrix, each started when it is asked for first: a cluster takes seconds to form."""
    with ExitStack() as stack:
        yield cache(lambda name: stack.enter_context(STORES[name]()))


@pytest.fixture(scope="session", params=STORES)
def matrix_session(
    request: pytest.FixtureRequest, started_stores: Callable[[str], StoreServer]
) -> StoreServer:
    """Each store in turn; one server serves all tests of all its turns."""
    return started_stores(request.param)


def _clean(server: StoreServer) -> Iterator[StoreServer]:
    server.flush()
    yield server
    assert keys_without_expiry(server) == [], "a key was left in the store without an expiry"


@pytest.fixture
def store(matrix_session: StoreServer) -> Iterator[StoreServer]:
    """An empty store, the test run once on each of the matrix; no key may be left without an expiry."""
    yield from _clean(matrix_session)


@pytest.fixture
def valkey(valkey_session: StoreServer) -> Iterator[StoreServer]:
    """An empty Valkey, for tests in which the kind of store plays no part; the same rule on expiry."""
    yield from _clean(valkey_session)


@pytest.fixture
def settings_for() -> MakeSettings:
    """Settings for a store: `settings_for(store, dedup_window_seconds=0.2)`; patient with a busy machine."""

    def make(server: StoreServer, **changes: object) -> Settings:
        return Settings(store_url=server.url, **({"store_deadline_seconds": 10} | changes))  # type: ignore[arg-type]

    return make


@pytest.fixture
async def runtime(valkey: StoreServer, settings_for: MakeSettings) -> AsyncIterator[Runtime]:
    """A gate with default settings in front of an empty Valkey."""
    async with running(settings_for(valkey)) as started:
        yield started


@pytest.fixture
async def client(runtime: Runtime) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that gate."""
    async with api_client(runtime) as opened:
        yield opened
