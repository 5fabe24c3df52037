"""What lies in the store and a gate cannot take: it goes on with what it had, and says so."""

import asyncio

import msgspec
import pytest
from structlog.testing import capture_logs

from app.runtime_settings.settings_document import StoredSettings
from tests.conftest import MakeSettings
from tests.support.api_calls import QUIET, Api, open_api, until
from tests.support.servers import StoreServer
from tests.support.settings_calls import (
    SETTINGS_KEY,
    patched,
    put,
    refused,
    shown,
    stored,
    two_gates,
    until_version,
)

pytestmark = pytest.mark.usefixtures("quick_ticks")


async def _until_ignored(api: Api, *words: str) -> str:
    async def is_ignored() -> bool:
        sentence = api.runtime.live.ignored
        return sentence is not None and all(word in sentence for word in words)

    await until(is_ignored)
    [warning] = [text for text in (await api.stats())["warnings"] if "changed at run time" in text]
    assert warning == (await api.http.get("/settings")).json()["ignored"]
    return str(warning)


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"junk",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b"[" * 5000,
        b'{"format":1}',
        b'{"format":1,"version":0,"values":{}}',
        b'{"format":1,"version":-3,"values":{}}',
        b'{"format":1,"version":99999999999999999999,"values":{}}',
        b'{"format":1,"version":5,"values":{"signatures_limit":"7"}}',
        b'{"format":1,"version":5,"values":{"signatures_limit":true}}',
        b'{"format":1,"version":5,"values":{"signatures_limit":1e999}}',
        b'{"format":1,"version":5,"values":{},"more":1}',
        b" " * 70_000,
    ],
)
async def test_what_cannot_be_read_is_ignored_with_a_warning_and_can_be_written_over(
    valkey: StoreServer, settings_for: MakeSettings, junk: bytes
) -> None:
    async with open_api(settings_for(valkey, **QUIET)) as api:
        await patched(api, signatures_limit=100)
        with capture_logs() as logs:
            put(valkey, junk)
            await _until_ignored(api)
            await api.runtime.sizes.refresh()
        assert len([entry for entry in logs if entry.get("warning") == "settings_ignored"]) == 1
        assert api.runtime.settings.signatures_limit == 100
        assert (await patched(api, transactions_limit=200))["ignored"] is None
        assert (await shown(api, "signatures_limit"))["value"] == 100
        assert b"200" in (stored(valkey) or b"")


@pytest.mark.parametrize("junk", [b"", b" " * 70_000])
async def test_what_is_broken_after_a_change_is_no_loss_to_a_tick_that_waited_for_the_change(
    valkey: StoreServer, settings_for: MakeSettings, junk: bytes
) -> None:
    async with open_api(settings_for(valkey, **QUIET)) as api:
        keeper = api.runtime.settings_sync
        async with keeper._one_at_a_time:  # noqa: SLF001  the change below holds it all along
            tick = asyncio.create_task(keeper.follow())
            await asyncio.sleep(0)
            assert await keeper._change_once({"signatures_limit": 100}, None)  # noqa: SLF001
            put(valkey, junk)
            await api.runtime.sizes.refresh()
        await tick
        assert stored(valkey) == junk
        await _until_ignored(api)


async def test_a_gate_that_never_read_them_can_write_over_what_is_broken(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    async with open_api(settings_for(valkey, **QUIET)) as one:
        for limit in (100, 200, 300):
            await patched(one, signatures_limit=limit)
        put(valkey, b"junk")
        async with open_api(settings_for(valkey, **QUIET)) as two:
            await _until_ignored(two)
            assert (await patched(two, transactions_limit=400))["version"] == 4
            await until_version(one, 4)
            for api in (one, two):
                assert (await shown(api, "transactions_limit"))["value"] == 400


async def test_values_outside_their_limits_are_ignored_with_a_warning(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    async with open_api(settings_for(valkey, **QUIET)) as api:
        put(valkey, StoredSettings(5, {"signatures_limit": -7}).encoded())
        await _until_ignored(api, "TIDEGATE_SIGNATURES_LIMIT: input should be greater than or equal to 1")
        assert api.runtime.settings.signatures_limit == 10**6


async def test_another_type_of_key_in_their_place_is_ignored_and_replaced(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    with valkey.nodes()[0] as node:
        node.rpush(SETTINGS_KEY, "a list")
        node.expire(SETTINGS_KEY, 60)
    async with open_api(settings_for(valkey, **QUIET)) as api:
        await _until_ignored(api)
        assert (await patched(api, signatures_limit=100))["version"] == 1


@pytest.mark.parametrize(
    "document",
    [
        {"format": 2, "version": 9, "settings": {"anything": "at all"}},
        {"format": 1, "version": 9, "values": {"signatures_limit": 7, "limit_of_the_future": 5}},
    ],
)
async def test_those_of_a_newer_tidegate_are_ignored_and_not_written_over(
    valkey: StoreServer, settings_for: MakeSettings, document: dict[str, object]
) -> None:
    raw = msgspec.json.encode(document)
    async with open_api(settings_for(valkey, **QUIET)) as api:
        put(valkey, raw)
        await _until_ignored(api, "newer Tidegate")
        assert "newer Tidegate" in await refused(api, status=409, transactions_limit=200)
        assert api.runtime.settings.signatures_limit == 10**6
    assert stored(valkey) == raw


async def test_of_what_contradicts_a_gates_own_start_it_follows_the_shared_ones_until_the_two_fit(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    own = settings_for(valkey, max_body_bytes=2048, max_payload_bytes=1000, **QUIET)
    async with two_gates(settings_for(valkey, **QUIET), own) as (one, two):
        await patched(two, max_batch_items=77)
        await patched(one, max_payload_bytes=4096, transactions_limit=200)
        warning = await _until_ignored(
            two, "TIDEGATE_MAX_PAYLOAD_BYTES=4096 must not be above TIDEGATE_MAX_BODY_BYTES=2048"
        )
        assert "follows those that gates of a store share" in warning
        held = two.runtime.settings
        assert (held.transactions_limit, held.max_payload_bytes, held.max_batch_items) == (200, 1000, 77)
        assert two.runtime.plane.maps.layout.rules == one.runtime.plane.maps.layout.rules
        assert one.runtime.live.ignored is None
        assert "TIDEGATE_MAX_BODY_BYTES=2048" in await refused(two, observations_limit=300)
        document = await patched(two, max_payload_bytes=1500)
        assert document["version"] == 3
        assert document["ignored"] is None
        await until_version(one, 3)
