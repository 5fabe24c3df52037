"""The store is away while gates of the last release run beside new ones: none of them is shut out by it."""

import asyncio
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.gate import await_gate, started
from tests.support.last_release import released_gate, unpack_last_release
from tests.support.load import transaction
from tests.support.servers import valkey_server
from tests.support.wire import Connection, ask_once

pytestmark = [pytest.mark.slow, pytest.mark.long]

OUTAGE_SECONDS = 5.0  # longer than older gates may be silent
POSTS, PAUSE_SECONDS = 30, 0.2  # of some ticks, in one of which the store would be taken over
SETTINGS: dict[str, object] = {"dedup_window_seconds": 60, "transaction_retention_seconds": 600}


async def _post(url: str, name: str) -> str:
    connection = await Connection.open(url)
    reply = await connection.post([transaction(name)])
    await connection.close()
    assert reply.status == 200, reply
    return "accepted" if reply.json()["accepted"] else "duplicate"


async def test_the_older_gate_serves_on_after_an_outage_in_which_it_could_not_show_itself(
    tmp_path: Path,
) -> None:
    release = unpack_last_release(tmp_path)
    with ExitStack() as stack:
        server = stack.enter_context(valkey_server())
        old = stack.enter_context(released_gate(release, store_url=server.url, **SETTINGS))
        await asyncio.to_thread(await_gate, old)
        new = stack.enter_context(started(store_url=server.url, **SETTINGS))
        await asyncio.to_thread(await_gate, new)
        server.pause()
        await asyncio.sleep(OUTAGE_SECONDS)
        server.resume()
        for gate in (new, old):
            await asyncio.to_thread(await_gate, gate)
        for number in range(POSTS):
            assert await _post(old.url, f"by-old-{number}") == "accepted"
            assert await _post(new.url, f"by-old-{number}") == "duplicate"
            await asyncio.sleep(PAUSE_SECONDS)
        [warning] = (await ask_once(new.url, "GET", "/readyz")).json()["warnings"]
        assert "keeps to its format" in warning
