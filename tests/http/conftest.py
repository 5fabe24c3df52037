"""Gates for the tests of HTTP: inside the test with other limits, and one real process."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx
import pytest

from tests.conftest import MakeSettings
from tests.support.gate import GateProcess, api_client, gate_process, running
from tests.support.servers import StoreServer

ClientOf = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def client_of(valkey: StoreServer, settings_for: MakeSettings) -> ClientOf:
    """A client of a gate with other settings: `async with client_of(max_batch_items=3) as client`."""

    @asynccontextmanager
    async def open_client(**changes: object) -> AsyncIterator[httpx.AsyncClient]:
        async with running(settings_for(valkey, **changes)) as runtime, api_client(runtime) as client:
            yield client

    return open_client


@pytest.fixture(scope="package")
def gate() -> Iterator[GateProcess]:
    """A real gate with its embedded store, shared by the tests that need a socket."""
    with gate_process() as started:
        yield started
