"""A store at its `maxmemory`: what fills it is told in the same words; it is cleaned if that helps."""

from collections.abc import Iterator
from random import Random

import pytest
from structlog.testing import capture_logs

from app.settings.model import Settings
from tests.support.api_calls import QUIET, Api, events, open_api, until
from tests.support.servers import StoreServer, redis_server

pytestmark = pytest.mark.server

MIB = 1024 * 1024
NOT_OURS = "something else fills the store, and a cleanup does not help. Raise its maxmemory"
KEPT = 200


@pytest.fixture
def store() -> Iterator[StoreServer]:
    with redis_server(maxmemory="64mb") as server:
        yield server


def settings_of(store: StoreServer, retention_seconds: float) -> Settings:
    """Of a gate that looks at memory five times a second, and whose emergencies leave next to nothing."""
    return Settings(
        store_url=store.url,
        dedup_window_seconds=0.2,
        transaction_retention_seconds=retention_seconds,
        emergency_transaction_retention_seconds=0.2,
        emergency_observation_retention_seconds=0.2,
        memory_sample_seconds=0.2,
        cleanup_interval_seconds=QUIET["cleanup_interval_seconds"],
    )


async def reasons(api: Api) -> list[str]:
    found: list[str] = (await api.http.get("/readyz")).json()["reasons"]
    return found


def fill_with_keys_of_others(store: StoreServer) -> None:
    """Fill the store with a key that never expires, beyond its limit by more than what comes and goes."""
    with store.nodes()[0] as somebody:
        somebody.setrange("foreign", 16 * MIB, "x")
        somebody.config_set("maxmemory", somebody.info("memory")["used_memory"] - MIB)


async def test_a_store_that_others_fill_is_not_cleaned_and_everybody_is_told_why(store: StoreServer) -> None:
    with capture_logs() as logs:
        async with open_api(settings_of(store, 600)) as api:
            await api.post_many("kept", KEPT)
            fill_with_keys_of_others(store)

            async def is_told() -> bool:
                return any(NOT_OURS in reason for reason in await reasons(api))

            await until(is_told)
            [reason] = await reasons(api)
            assert reason.startswith("the store is full (")
            assert " MiB). The maps hold 0." in reason
            refused = await api.http.post("/transactions", json={"signature": "refused"})
            assert refused.status_code == 503
            assert NOT_OURS in refused.json()["detail"]

            async def is_noticed() -> bool:
                return bool(events(logs, "store near its own limit"))

            await until(is_noticed)
            [warning] = [text for text in (await api.stats())["warnings"] if "The store is full" in text]
            assert NOT_OURS in warning
            assert warning.endswith(". Transactions are answered 503 until there is room.")
            [noted] = events(logs, "store near its own limit")
            assert NOT_OURS in noted["advice"]
            assert api.runs("emergency", "emergency") == 0
            stats = await api.stats()
            assert any("it can be full before they are at their limit" in text for text in stats["warnings"])
            assert stats["store"]["maps_bytes"] < MIB < stats["store"]["used_bytes"]
            assert stats["maps"]["transactions"]["entries"] == KEPT
            assert stats["maps"]["transactions"]["removed_total"]["emergency"] == 0


async def test_a_store_that_the_maps_fill_is_cleaned(store: StoreServer) -> None:
    chance = Random(1)
    async with open_api(settings_of(store, 10)) as api:
        for number in range(40):
            await api.post(f"large-{number}", payload=chance.randbytes(100_000).hex())
        with store.nodes()[0] as operator:
            operator.config_set("maxmemory", int(operator.info("memory")["used_memory"] / 0.95))

        async def is_cleaned() -> bool:
            return api.runs("emergency", "emergency") > 0

        await until(is_cleaned)
        stats = await api.stats()
        assert stats["maps"]["transactions"]["removed_total"]["emergency"] > 0
