"""Gates of one store that were started with other settings: the store says what holds, and who differs."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from structlog.testing import capture_logs

from app.models import MapName
from app.settings.model import ORDERED, SHARED, Settings
from app.store.settings_in_force import start_arguments
from app.store.shared_settings import SharedSettings
from tests.conftest import MakeSettings
from tests.support.api_calls import Api, open_api, until
from tests.support.different_gates import (
    KEPT_SECONDS,
    NARROW,
    WIDE,
    difference,
    say_it_was_told_before,
    shared_settings,
    tick,
    until_holds,
)
from tests.support.gate import gate_process
from tests.support.ledger import store_key
from tests.support.metric_families import value
from tests.support.processes import wait_until
from tests.support.servers import StoreServer
from tests.support.settings_calls import patched, shown, two_gates
from tests.support.store_clock import StoreClock, let_clocks_be_set

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("quick_ticks")]

DIFFERENT = set(NARROW)


@asynccontextmanager
async def _wide_then_narrow(store: StoreServer, make: MakeSettings) -> AsyncIterator[tuple[Api, Api]]:
    async with two_gates(
        make(store, gate_name="wide", **WIDE), make(store, gate_name="narrow", **NARROW)
    ) as gates:
        yield gates


async def _until_is_as_all(api: Api) -> None:
    async def is_so() -> bool:
        return await difference(api) is None

    await until(is_so)


async def test_nothing_is_dropped_that_another_gate_promised_and_both_say_the_same(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    async with _wide_then_narrow(store, settings_for) as (wide, narrow):
        assert (await wide.post_many("kept", 200))["accepted"] == 200
        assert (await narrow.post_many("more", 200))["accepted"] == 200

        async def is_past_the_retention_of_the_other() -> bool:
            age = (await narrow.stats())["maps"]["transactions"]["oldest_age_seconds"]
            return bool(age > 2)

        await until(is_past_the_retention_of_the_other)
        assert (await narrow.post_many("kept", 200))["duplicate"] == 200, "within the window of the store"
        assert (await narrow.find("kept-0"))["signature"] == "kept-0"
        stats = [(await api.stats())["maps"] for api in (wide, narrow)]
        for maps in stats:
            assert {name: maps[name]["entries"] for name in ("signatures", "transactions")} == {
                "signatures": 400,
                "transactions": 400,
            }
            assert not any(sum(maps[name]["removed_total"].values()) for name in MapName)
        for figure in ("limit_entries", "retention_seconds"):
            figures = [{name: maps[name][figure] for name in MapName} for maps in stats]
            assert figures[0] == figures[1]
        documents = [(await api.http.get("/settings")).json()["settings"] for api in (wide, narrow)]
        values = [{name: document[name]["value"] for name in SHARED} for document in documents]
        assert values[0] == values[1]
        with store.client() as client:
            for prefix in narrow.runtime.plane.maps.layout.prefixes:
                assert client.get(store_key(prefix, "rules")) == narrow.runtime.plane.maps.layout.rules
        assert wide.runtime.plane.maps.layout.rules == narrow.runtime.plane.maps.layout.rules


async def test_the_gate_that_differs_is_named_and_says_what_holds(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    with capture_logs() as logs:
        async with _wide_then_narrow(valkey, settings_for) as (wide, narrow):
            assert await difference(wide) is None
            warning = await difference(narrow)
            assert warning is not None
            assert "This gate, narrow, was started" in warning
            assert "TIDEGATE_DEDUP_WINDOW_SECONDS=0.2 (30 holds)" in warning
            assert "TIDEGATE_TRANSACTIONS_LIMIT=50 (1000000 holds)" in warning
            view = await shown(narrow, "dedup_window_seconds")
            assert (view["value"], view["start_value"], view["gate_value"]) == (30, 30, 0.2)
            assert view["source"] == "store"
            assert (await shown(wide, "dedup_window_seconds"))["source"] == "argument"
            for api, different in ((wide, set()), (narrow, DIFFERENT)):
                text = await api.metrics()
                found = {name for name in SHARED if value(text, "setting_differs", setting=name)}
                assert found == different

            async def is_logged() -> bool:
                return any(entry.get("warning") == "settings_differ" for entry in logs)

            await until(is_logged)


async def test_a_change_by_either_gate_holds_for_both_and_ends_thedifference(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    other = {"dedup_window_seconds": 7}
    async with two_gates(settings_for(valkey), settings_for(valkey, gate_name="b", **other)) as (one, two):
        assert await difference(two) is not None
        for api, window in ((two, 7), (one, 9)):
            await patched(api, dedup_window_seconds=window)
            for gate in (one, two):
                await until_holds(gate, "dedup_window_seconds", window)
                assert await difference(gate) is None
        await patched(two, dedup_window_seconds=None)
        assert two.runtime.settings.dedup_window_seconds == 5, "that of the store, not of the gate asked"
        assert await difference(two) is not None


async def test_a_gate_that_is_started_as_the_others_has_nodifference(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    async with open_api(settings_for(valkey, gate_name="a")) as one:
        async with open_api(settings_for(valkey, gate_name="b", dedup_window_seconds=7)) as two:
            assert await difference(two) is not None
        async with open_api(settings_for(valkey, gate_name="b")) as two:
            assert [await difference(api) for api in (one, two)] == [None, None]


async def test_gates_that_are_restarted_one_by_one_with_new_settings_end_with_these(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    old, new = ({"transactions_limit": limit} for limit in (500, 700))
    async with open_api(settings_for(valkey, gate_name="b", **old)):
        async with open_api(settings_for(valkey, gate_name="a", **old)):
            pass
        async with open_api(settings_for(valkey, gate_name="a", **new)) as one:
            await tick(one)
            assert one.runtime.settings.transactions_limit == 500, "as long as a gate is at work that has it"
    say_it_was_told_before(valkey, 10)
    async with (
        open_api(settings_for(valkey, gate_name="a", **new)) as one,
        open_api(settings_for(valkey, gate_name="b", **new)) as two,
    ):
        for api in (one, two):
            await until_holds(api, "transactions_limit", 700)
            await _until_is_as_all(api)


async def test_others_put_theirs_in_force_only_when_all_that_was_promised_is_due(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    async with open_api(settings_for(valkey, gate_name="wide", **WIDE)):
        pass
    async with open_api(settings_for(valkey, gate_name="narrow", **NARROW)) as narrow:
        say_it_was_told_before(valkey, KEPT_SECONDS - 30)
        await tick(narrow)
        assert narrow.runtime.settings.transactions_limit == 10**6
        say_it_was_told_before(valkey, 30)
        await until_holds(narrow, "transactions_limit", 50)
        await _until_is_as_all(narrow)


async def test_a_gate_of_the_same_name_that_was_there_before_another_fell_silent_did_not_come_back_from_that(
    valkey: StoreServer, settings_for: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where all gates get one environment: one hangs, and what it has promised to keep stays."""
    let_clocks_be_set(monkeypatch)
    async with AsyncExitStack() as stack:
        wide = await stack.enter_async_context(open_api(settings_for(valkey, gate_name="same", **WIDE)))
        async with open_api(settings_for(valkey, gate_name="same", **NARROW)) as narrow:
            await tick(narrow)
            await tick(wide)  # its last word comes after the other's first
            await stack.aclose()
            clock = StoreClock(valkey, narrow.runtime.plane.maps.layout.prefixes, ahead_seconds=0)
            clock.move(KEPT_SECONDS - 30)
            await tick(narrow)
            assert narrow.runtime.settings.transactions_limit == 10**6
            clock.move(60)
            await until_holds(narrow, "transactions_limit", 50)
            clock.close()


@pytest.mark.slow
def test_workers_are_no_gates_that_differ_and_follow_what_holds(valkey: StoreServer) -> None:
    wide = gate_process(store_url=valkey.url, gate_name="wide", **WIDE)
    narrow = gate_process(store_url=valkey.url, gate_name="narrow", workers=2, **NARROW)
    with wide as one, one.client() as http:
        before = shared_settings(valkey)
        with narrow as two, two.client() as workers:
            items = [{"signature": f"of-workers-{number}"} for number in range(200)]
            assert workers.post("/transactions", json=items).json()["accepted"] == 200
            assert len([text for text in workers.get("/stats").json()["warnings"] if "narrow" in text]) == 1

        def entries() -> int:
            return int(http.get("/stats").json()["maps"]["transactions"]["entries"])

        assert wait_until(lambda: entries() == 200, 30), "the first answer may be of a reading under way"
        assert shared_settings(valkey) == before


def test_what_is_shared_fits_together_whatever_the_rest_of_a_gates_settings_is() -> None:
    for lower, upper in ORDERED:
        assert (lower in SHARED) == (upper in SHARED)


def test_equal_settings_are_equal_however_they_were_written() -> None:
    one, other = Settings(dedup_window_seconds=5), Settings()
    assert start_arguments(one, SharedSettings()) == start_arguments(other, SharedSettings())
