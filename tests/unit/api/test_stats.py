"""`/stats`: its shape, maps that fill and drain, warnings, efficiency, and the same as a log line."""

import os
from collections.abc import Iterable, Mapping, Sized
from functools import partial
from typing import Any

import psutil
import pytest
from structlog.testing import capture_logs

from app import schedule as wiring
from app.settings.model import Settings
from tests.conftest import MakeSettings
from tests.support.api_calls import BRIEF, QUIET, Api, events, open_api, until
from tests.support.metric_families import REFUSALS
from tests.support.servers import StoreServer, valkey_server
from tests.support.truth import count_entries

pytestmark = pytest.mark.server

NUMBER = (int, float)
REMOVED = {"expired": int, "emergency": int, "manual": int, "capacity": int}
# `bytes` and `limit_bytes` of every map, `failed` and `limit_source` go beyond the contract's page.
MAP = {
    "entries": int,
    "limit_entries": int,
    "bytes": int,
    "limit_bytes": (int, type(None)),
    "retention_seconds": NUMBER,
    "oldest_age_seconds": (*NUMBER, type(None)),
    "added_total": int,
    "removed_total": REMOVED,
}
STATS = {
    "version": str,
    "uptime_seconds": float,
    "maps": {"signatures": MAP, "transactions": MAP, "observations": MAP},
    "ingest": {
        **dict.fromkeys(("accepted", "duplicate", "invalid", "refused", "failed"), int),
        "refusals": dict.fromkeys(REFUSALS, int),
    },
    "memory": {
        "processes": list,
        "limit_bytes": (int, type(None)),
        "limit_source": (str, type(None)),
        "level": str,
        "growth_bytes": int,
        "growth_threshold_bytes": int,
        "leak": {"state": str},
    },
    "store": (dict, type(None)),
    "cleanup": {"efficiency_ratio": (*NUMBER, type(None)), "last": (dict, type(None))},
    "warnings": list,
}
# Often, and late only when the machine stood still for half a second.
OFTEN: dict[str, float] = {"cleanup_interval_seconds": 0.5, "signature_cleanup_interval_seconds": 0.5}


def _assert_shape(document: Any, shape: Any, place: str = "stats") -> None:
    if isinstance(shape, Mapping):
        assert set(document) == set(shape), place
        for name, inner in shape.items():
            _assert_shape(document[name], inner, f"{place}.{name}")
    else:
        assert isinstance(document, shape), place
        assert not isinstance(document, bool), place


def _entries(stats: dict[str, Any]) -> dict[str, int]:
    return {name: figures["entries"] for name, figures in stats["maps"].items()}


async def _is_drained(api: Api, *names: str) -> bool:
    entries = _entries(await api.stats())
    return all(entries[name] == 0 for name in names)


async def _is_logged(logs: list[Any], count: int) -> bool:
    return len(_size_logs(logs)) == count


async def _has(entries: Sized, count: int) -> bool:
    return len(entries) >= count


def _size_warnings(stats: dict[str, Any]) -> list[str]:
    return [sentence for sentence in stats["warnings"] if "warning size" in sentence]


def _size_logs(logs: Iterable[Any]) -> list[Any]:
    return [entry for entry in logs if entry.get("warning") == "signatures_size"]


async def test_the_document_has_the_documented_members_and_types(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    async with open_api(settings_for(store, **QUIET)) as api:
        _assert_shape(await api.stats(), STATS)
        await api.post_many("kept", 3)
        await api.clean()
        stats = await api.stats()
        _assert_shape(stats, STATS)
        assert (stats["version"], stats["uptime_seconds"] > 0) == (api.runtime.version, True)
        assert stats["cleanup"]["last"]["trigger"] == "manual"
        assert stats["warnings"] == []


async def test_limits_and_retentions_are_those_of_the_settings(api: Api) -> None:
    maps = (await api.stats())["maps"]
    assert {name: figures["limit_entries"] for name, figures in maps.items()} == {
        "signatures": 1_000_000,
        "transactions": 1_000_000,
        "observations": 3_000_000,
    }
    assert [figures["retention_seconds"] for figures in maps.values()] == [5, 120, 120]
    assert [figures["limit_bytes"] for figures in maps.values()] == [None, 256 * 1024 * 1024, None]
    assert [figures["oldest_age_seconds"] for figures in maps.values()] == [None, None, None]


async def test_a_gate_started_without_its_store_answers_the_whole_document_with_the_reason(
    settings_for: MakeSettings,
) -> None:
    with valkey_server(unix=True) as server:
        server.kill()
        async with open_api(settings_for(server, **QUIET)) as api:
            stats = await api.stats()
            assert any("The store is down (unreachable" in sentence for sentence in stats["warnings"])
            _assert_shape(stats, STATS)


async def test_what_became_of_each_transaction_is_counted(api: Api) -> None:
    await api.post_many("one", 5)
    await api.post_many("one", 5)
    items = [{"signature": "two"}, {"signature": "has space"}, {"signature": "three", "slot": -1}]
    await api.http.post("/transactions", json=items)
    await api.http.post("/transactions", json={"signature": ""})
    ingest = (await api.stats())["ingest"]
    assert ingest.pop("refusals") == dict.fromkeys(REFUSALS, 0)
    assert ingest == {"accepted": 6, "duplicate": 5, "invalid": 3, "refused": 0, "failed": 0}


async def test_signatures_over_their_limit_are_counted_as_refused(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    async with open_api(settings_for(valkey, signatures_limit=10, **QUIET)) as api:
        items = [{"signature": f"s{number}"} for number in range(12)]
        assert (await api.http.post("/transactions", json=items)).status_code == 503
        ingest = (await api.stats())["ingest"]
        assert (ingest["accepted"], ingest["refused"]) == (10, 2)


async def test_maps_fill_and_drain_with_every_entry_counted_as_expired(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    long_enough = {
        "dedup_window_seconds": 1.5,
        "transaction_retention_seconds": 2,
        "observation_retention_seconds": 2,
        "emergency_transaction_retention_seconds": 2,
        "emergency_observation_retention_seconds": 2,
    }
    async with open_api(settings_for(store, **long_enough, **OFTEN)) as api:
        await api.post_many("one", 30)
        await api.post_many("one", 30, "quicknode")
        stats = await api.stats()
        assert _entries(stats) == {"signatures": 30, "transactions": 30, "observations": 60}
        assert _entries(stats) == vars(count_entries(store))
        assert all(0 <= figures["oldest_age_seconds"] <= 2 for figures in stats["maps"].values())
        await until(lambda: _is_drained(api, "signatures"))
        await until(lambda: _is_drained(api, "transactions", "observations"))
        stats = await api.stats()
        for figures in stats["maps"].values():
            assert figures["removed_total"]["expired"] == figures["added_total"] > 0
            assert sum(figures["removed_total"].values()) == figures["added_total"]
            assert figures["oldest_age_seconds"] is None
            assert figures["bytes"] == 0


async def test_the_tick_alone_drains_the_maps_too(valkey: StoreServer, settings_for: MakeSettings) -> None:
    async with open_api(settings_for(valkey, **BRIEF, **QUIET)) as api:
        await api.post_many("one", 30)
        names = ("signatures", "transactions", "observations")

        async def is_drained() -> bool:
            """By the figures that a tick leaves; to ask for `/stats` would remove what is due."""
            return all(api.sample("map_removed_total", map=name, reason="expired") == 30 for name in names)

        await until(is_drained)
        assert [api.sample("map_entries", map=name) for name in names] == [0, 0, 0]


async def test_a_map_above_its_warning_size_is_a_warning_while_it_lasts_and_once_in_the_log(
    valkey: StoreServer, settings_for: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiring, "TICK_SECONDS", 0.02)
    settings = settings_for(valkey, dedup_window_seconds=1.5, signatures_warn_entries=10, **QUIET)
    with capture_logs() as logs:
        async with open_api(settings) as api:
            for round_ in range(2):
                await api.post_many(f"at-{round_}", 10)
                assert _size_warnings(await api.stats()) == [], "at the size is not above it"
                await api.post(f"one-more-{round_}")
                [sentence] = _size_warnings(await api.stats())
                assert "signatures holds 11 entries" in sentence
                assert "TIDEGATE_SIGNATURES_WARN_ENTRIES" in sentence
                await until(partial(_is_logged, logs, 2 * round_ + 1))
                await until(lambda: _is_drained(api, "signatures"))
                assert _size_warnings(await api.stats()) == []
                await until(partial(_is_logged, logs, 2 * round_ + 2))
    assert [entry["log_level"] for entry in _size_logs(logs)] == ["warning", "info", "warning", "info"]


@pytest.mark.parametrize("name", ["signatures", "transactions", "observations"])
async def test_each_map_has_a_warning_size_of_its_own_and_by_default_80_percent_of_its_limit(
    valkey: StoreServer, settings_for: MakeSettings, name: str
) -> None:
    async with open_api(settings_for(valkey, **{f"{name}_limit": 20}, **QUIET)) as api:
        for number in range(16):
            await api.post(f"signature-{number}")
        assert _size_warnings(await api.stats()) == []
        await api.post("one-more")
        [sentence] = _size_warnings(await api.stats())
        assert sentence.startswith(f"{name} holds 17 entries, above its warning size of 16; the limit is 20.")


async def test_efficiency_is_unknown_until_something_came_due_and_then_whole(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    async with open_api(settings_for(store, **BRIEF, **OFTEN)) as api:
        await api.post_many("one", 50)
        assert (await api.stats())["cleanup"]["efficiency_ratio"] is None
        assert "cleanup_efficiency_ratio" not in await api.metrics()

        async def drained() -> bool:
            return set(_entries(await api.stats()).values()) == {0}

        await until(drained)
        assert (await api.stats())["cleanup"]["efficiency_ratio"] == 1.0
        assert api.sample("cleanup_efficiency_ratio") == 1.0


async def test_the_stats_log_line_carries_the_same_figures(
    valkey: StoreServer, settings_for: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert wiring.STATS_LOG_SECONDS == 30
    monkeypatch.setattr(wiring, "STATS_LOG_SECONDS", 0.05)
    with capture_logs() as logs:
        async with open_api(settings_for(valkey, **QUIET)) as api:
            await api.post_many("one", 12)
            await api.post_many("one", 12, "quicknode")
            await api.stats()
            written = len(events(logs, "stats"))
            await until(lambda: _has(events(logs, "stats"), written + 3))
    line = events(logs, "stats")[-1]
    assert (line["dedup_size"], line["signatures_entries"], line["transactions_entries"]) == (12, 12, 12)
    assert line["observations_entries"] == 24
    assert (line["ingest_accepted"], line["ingest_duplicate"]) == (12, 12)
    assert line["rss_gate_bytes"] > 10_000_000
    assert line["log_level"] == "info"


def _assert_near(given: float, expected: float) -> None:
    assert abs(given - expected) < 0.1 * expected


async def test_memory_figures_match_what_psutil_reads_of_the_gate_and_its_embedded_store() -> None:
    async with open_api(Settings(memory_limit_bytes=2**31, **QUIET)) as api:  # type: ignore[arg-type]
        memory = (await api.stats())["memory"]
        assert (memory["limit_bytes"], memory["limit_source"]) == (2**31, "setting")
        gate, store = memory["processes"]
        assert (gate["name"], gate["pid"], store["name"]) == ("gate", os.getpid(), "store")
        assert psutil.Process(store["pid"]).parent() == psutil.Process()
        for process in (gate, store):
            assert set(process) == {"name", "pid", "rss_bytes"}
            _assert_near(process["rss_bytes"], psutil.Process(process["pid"]).memory_info().rss)
            exported = api.sample("memory_rss_bytes", process=process["name"])
            _assert_near(exported or 0, process["rss_bytes"])


async def test_a_store_that_is_not_ours_has_no_memory_figure_among_our_processes(api: Api) -> None:
    assert [process["name"] for process in (await api.stats())["memory"]["processes"]] == ["gate"]
