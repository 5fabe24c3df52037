"""What a request held is free once it is answered, also if it failed, without a collection of garbage.

An error holds the frames it has passed, and with them the body. Kept by a task that a frame of these still
names, error and body would hold each other: 30 MiB for each refused post until the next full collection.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import httpx
import msgspec
import pytest

from app.decode.body_reader import BodyReader
from app.runtime import Runtime
from tests.conftest import MakeSettings
from tests.support.feed_calls import raw
from tests.support.garbage import only_what_comes_from_now_on
from tests.support.gate import running
from tests.support.http_calls import JSON, NDJSON, array, item
from tests.support.servers import StoreServer

REQUESTS = 5
LONG = b"x" * 100_000


@pytest.fixture(scope="module", autouse=True)
def _only_what_comes_from_now_on() -> Iterator[None]:
    with only_what_comes_from_now_on():
        yield


@pytest.fixture
async def runtime(valkey: StoreServer, settings_for: MakeSettings) -> AsyncIterator[Runtime]:
    async with running(settings_for(valkey, store_deadline_seconds=0.2)) as started:
        yield started


@contextmanager
def no_collection() -> Iterator[None]:
    """Within, only what nothing refers to is freed."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def bodies_held() -> int:
    return sum(isinstance(one, BodyReader) for one in gc.get_objects())


BODIES = {
    "one": ("/transactions", JSON, item("one", payload="x" * 1000)),
    "an array": ("/transactions", JSON, array(item(f"a{n}") for n in range(100))),
    "lines": ("/transactions", NDJSON, b"\n".join(item(f"l{n}") for n in range(100))),
    "of a feed": ("/feeds/rpc", JSON, msgspec.json.encode([raw(n) for n in range(100)])),
}
"""Address, media type, body."""
INVALID = {
    "not JSON": ("/transactions", JSON, b"[" + LONG),
    "nothing valid": ("/transactions", JSON, b"[1,2,3]"),
    "one that is invalid": ("/transactions", JSON, b'{"signature":1}'),
    "lines that are invalid": ("/transactions", NDJSON, b"1\n2\n"),
    "no document": ("/feeds/helius", JSON, LONG),
    "too large": ("/transactions", JSON, b" " * 9_000_000),
}


async def post(client: httpx.AsyncClient, address: str, media: str, body: bytes) -> int:
    answer = await client.post(address, content=body, headers={"Content-Type": media})
    for _ in range(10):  # the event loop closes an iterator that was left in one of its next turns
        await asyncio.sleep(0)
    return answer.status_code


@pytest.mark.parametrize("name", BODIES | INVALID)
async def test_a_body_is_free_once_it_is_answered(client: httpx.AsyncClient, name: str) -> None:
    with no_collection():
        statuses = {await post(client, *(BODIES | INVALID)[name]) for _ in range(REQUESTS)}
        assert bodies_held() == 0, statuses


@pytest.mark.parametrize("name", BODIES)
async def test_a_body_is_free_once_it_is_refused(
    runtime: Runtime, client: httpx.AsyncClient, name: str
) -> None:
    runtime.plane.flush_queue.resize(1, 1)
    with no_collection():
        statuses = {await post(client, *BODIES[name]) for _ in range(REQUESTS)}
        assert bodies_held() == 0, statuses
    assert 200 not in statuses


@pytest.mark.parametrize("name", BODIES)
async def test_a_body_is_free_once_the_store_has_failed(
    valkey: StoreServer, client: httpx.AsyncClient, name: str
) -> None:
    valkey.pause()
    try:
        with no_collection():
            statuses = {await post(client, *BODIES[name]) for _ in range(REQUESTS)}
            assert bodies_held() == 0, statuses
    finally:
        valkey.resume()
    assert statuses == {503}
