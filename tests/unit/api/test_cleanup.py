"""`/cleanup`: what it removes, what it never removes, and the report it answers."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.conftest import MakeSettings
from tests.support.api_calls import BRIEF, QUIET, Api, open_api, until
from tests.support.servers import StoreServer

A_MORNING_MS = 1_700_000_000_000  # in November 2023
MAPS = {"signatures", "transactions", "observations"}
REPORT = {"trigger", "mode", "dry_run", "started_ms", "duration_seconds", "maps", "memory", "left_out"}
# Buckets of 250 ms, cut by an emergency after a second, in which a busy machine gets the next step done.
CUT: dict[str, float] = {
    "dedup_window_seconds": 0.2,
    "transaction_retention_seconds": 6,
    "observation_retention_seconds": 6,
    "emergency_transaction_retention_seconds": 1,
    "emergency_observation_retention_seconds": 1,
}
PAST_EMERGENCY_SECONDS = 1.4
PAST_RETENTION_SECONDS = 1.2

pytestmark = pytest.mark.usefixtures("no_ticks")


@pytest.fixture
async def cut(store: StoreServer, settings_for: MakeSettings) -> AsyncIterator[Api]:
    """A gate on each store of the matrix, of which an emergency cuts most."""
    async with open_api(settings_for(store, **CUT, **QUIET)) as opened:
        yield opened


@pytest.fixture
async def brief(store: StoreServer, settings_for: MakeSettings) -> AsyncIterator[Api]:
    """A gate on each store of the matrix whose maps keep little longer than a second."""
    async with open_api(settings_for(store, **BRIEF, **QUIET)) as opened:
        yield opened


def _removed(report: dict[str, Any]) -> dict[str, int]:
    return {name: change["removed"] for name, change in report["maps"].items()}


async def _are_under_way(api: Api, requests: int) -> bool:
    return api.sample("http_requests_in_flight") == requests


def _totals(metrics: str) -> list[str]:
    return [line for line in metrics.splitlines() if line.startswith("tidegate_map_removed_total")]


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _assert_report(report: dict[str, Any]) -> None:
    assert set(report) == REPORT
    assert type(report["dry_run"]) is bool
    assert type(report["duration_seconds"]) is float
    assert A_MORNING_MS < report["started_ms"] <= time.time() * 1000
    for change in report["maps"].values():
        assert set(change) == {"before", "removed", "after"}
        assert all(_is_count(value) for value in change.values())
        assert change["before"] - change["removed"] == change["after"]
    memory = report["memory"]
    assert set(memory) == {"before_bytes", "after_bytes", "released_bytes"}
    assert memory["before_bytes"] - memory["after_bytes"] == memory["released_bytes"]
    assert _is_count(memory["before_bytes"])
    assert report["left_out"] == {}


@pytest.mark.parametrize(("path", "mode"), [("", "normal"), ("/emergency", "emergency")])
async def test_a_report_has_the_documented_members(api: Api, path: str, mode: str) -> None:
    await api.post_many("kept", 10)
    report = await api.clean(path)
    _assert_report(report)
    assert (report["trigger"], report["mode"], report["dry_run"]) == ("manual", mode, False)
    assert set(report["maps"]) == MAPS
    assert report["maps"]["signatures"] == {"before": 10, "removed": 0, "after": 10}


async def test_a_cleanup_by_hand_removes_what_is_past_retention_under_manual(brief: Api) -> None:
    await brief.post_many("old", 30)
    await asyncio.sleep(PAST_RETENTION_SECONDS)
    report = await brief.clean()
    _assert_report(report)
    assert _removed(report) == dict.fromkeys(MAPS, 30)
    for figures in (await brief.stats())["maps"].values():
        assert figures["entries"] == 0
        assert figures["removed_total"] == {"expired": 0, "emergency": 0, "manual": 30, "capacity": 0}


async def test_an_emergency_cuts_transactions_and_observations_under_emergency(cut: Api) -> None:
    await cut.post_many("old", 30)
    await asyncio.sleep(PAST_EMERGENCY_SECONDS)
    await cut.post_many("new", 7)
    assert _removed(await cut.clean())["transactions"] == 0, "a normal cleanup leaves them"
    report = await cut.clean("/emergency")
    assert report["maps"]["transactions"] == {"before": 37, "removed": 30, "after": 7}
    assert report["maps"]["observations"] == {"before": 37, "removed": 30, "after": 7}
    for name in ("transactions", "observations"):
        removed = (await cut.stats())["maps"][name]["removed_total"]
        assert removed == {"expired": 0, "emergency": 30, "manual": 0, "capacity": 0}
    assert (await cut.http.get("/transactions/old-0")).status_code == 404
    assert (await cut.find("new-0"))["signature"] == "new-0"


async def test_an_emergency_never_removes_a_signature_inside_the_window(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    windows = {"dedup_window_seconds": 30, "signatures_limit": 100_000}
    async with open_api(settings_for(store, **windows, **QUIET)) as api:
        await api.post_many("kept", 50)
        report = await api.clean("/emergency")
        assert report["maps"]["signatures"] == {"before": 50, "removed": 0, "after": 50}
        assert (await api.post_many("kept", 50))["duplicate"] == 50


async def test_emergencies_at_any_moment_admit_nothing_twice_in_a_window(cut: Api) -> None:
    accepted_ms: list[int] = []
    while len(accepted_ms) < 4:
        await cut.clean("/emergency")
        answer = await cut.post("again")
        if answer["status"] == "accepted":
            accepted_ms.append(answer["first_seen_ms"])
    gaps = [later - earlier for earlier, later in itertools.pairwise(accepted_ms)]
    assert min(gaps) >= 200, "one acceptance a window"


@pytest.mark.parametrize("path", ["", "/emergency"])
async def test_a_dry_run_removes_nothing_but_reports_the_same_numbers(
    valkey: StoreServer, settings_for: MakeSettings, path: str
) -> None:
    async with open_api(settings_for(valkey, **BRIEF, **QUIET)) as api:
        await api.post_many("old", 20)
        await asyncio.sleep(PAST_RETENTION_SECONDS)
        before = await api.http.get("/metrics")
        rehearsal = await api.clean(path, dry_run=True)
        _assert_report(rehearsal)
        assert rehearsal["dry_run"] is True
        assert _removed(rehearsal) == dict.fromkeys(MAPS, 20)
        assert (await api.clean(path, dry_run=True))["maps"] == rehearsal["maps"], "nothing was removed"
        assert _totals(await api.metrics()) == _totals(before.text), "and nothing was counted as removed"
        assert (await api.clean(path))["maps"] == rehearsal["maps"]


async def test_a_dry_run_of_an_emergency_names_what_would_be_cut(cut: Api) -> None:
    await cut.post_many("old", 20)
    await asyncio.sleep(PAST_EMERGENCY_SECONDS)
    rehearsal = await cut.clean("/emergency", dry_run=True)
    assert _removed(rehearsal) == dict.fromkeys(MAPS, 20)
    assert (await cut.find("old-0"))["signature"] == "old-0", "it is still there"
    assert (await cut.clean("/emergency"))["maps"] == rehearsal["maps"]


async def test_a_dry_run_is_listed_but_is_neither_the_last_cleanup_nor_a_success(api: Api) -> None:
    real = await api.clean()
    at = api.sample("cleanup_last_success_timestamp_seconds", mode="normal")
    rehearsal = await api.clean(dry_run=True)
    assert (await api.reports())[:2] == [rehearsal, real]
    assert (await api.stats())["cleanup"]["last"] == real
    assert api.sample("cleanup_last_success_timestamp_seconds", mode="normal") == at
    assert api.runs("manual") == 1


async def test_only_the_named_maps_are_cleaned_and_reported(cut: Api) -> None:
    await cut.post_many("old", 20)
    await asyncio.sleep(PAST_EMERGENCY_SECONDS)
    assert _removed(await cut.clean("/emergency", map="transactions")) == {"transactions": 20}
    both = await cut.clean("/emergency", map=["signatures", "observations", "signatures"])
    assert _removed(both) == {"signatures": 20, "observations": 20}


@pytest.mark.parametrize("path", ["", "/emergency"])
@pytest.mark.parametrize("query", ["map=nonsense", "map=signatures&map=nonsense", "map=", "dry_run=perhaps"])
async def test_an_unknown_map_or_flag_is_refused_and_nothing_runs(api: Api, path: str, query: str) -> None:
    before = await api.reports()
    response = await api.http.post(f"/cleanup{path}?{query}")
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert query.partition("=")[0] in response.json()["detail"]
    assert await api.reports() == before


async def test_reports_are_listed_newest_first_and_at_most_fifty(api: Api) -> None:
    given = [await api.clean("/emergency" if number % 2 else "") for number in range(55)]
    listed = await api.reports()
    assert listed == given[:-51:-1]
    assert len(listed) == 50
    assert (await api.stats())["cleanup"]["last"] == given[-1]


async def test_concurrent_calls_that_ask_the_same_share_one_run(api: Api, valkey: StoreServer) -> None:
    await api.post_many("kept", 100)
    reports_before, runs_before = len(await api.reports()), api.runs("manual")
    valkey.pause()
    try:
        calls = [asyncio.create_task(api.clean()) for _ in range(60)]
        await until(lambda: _are_under_way(api, len(calls)))
    finally:
        valkey.resume()
    answers = await asyncio.gather(*calls)
    assert all(answer == answers[0] for answer in answers)
    assert api.runs("manual") - runs_before == 1
    assert len(await api.reports()) - reports_before == 1


async def test_concurrent_calls_that_differ_run_one_after_the_other(api: Api) -> None:
    calls = [api.clean(), api.clean("/emergency"), api.clean(dry_run=True), api.clean(map="transactions")]
    reports = await asyncio.gather(*calls)
    assert [report["mode"] for report in reports] == ["normal", "emergency", "normal", "normal"]
    assert [report["dry_run"] for report in reports] == [False, False, True, False]
    assert set(reports[3]["maps"]) == {"transactions"}
    assert api.runs("manual") == 2, "the dry run is no success"
    assert api.runs("manual", "emergency") == 1


async def test_a_caller_that_goes_away_does_not_end_the_run_for_the_others(
    api: Api, valkey: StoreServer
) -> None:
    valkey.pause()
    try:
        leaving, staying = asyncio.create_task(api.clean()), asyncio.create_task(api.clean())
        await until(lambda: _are_under_way(api, 2))
        leaving.cancel()
        await asyncio.sleep(0)  # the run is told of it while the store still holds it up
    finally:
        valkey.resume()
    _assert_report(await staying)
    await asyncio.wait([leaving])


async def test_periodic_cleanups_run_by_themselves_and_are_reported(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    often = {"cleanup_interval_seconds": 0.1, "signature_cleanup_interval_seconds": 0.1}
    async with open_api(settings_for(store, **BRIEF, **often)) as api:
        await api.post_many("old", 40)

        async def drained() -> bool:
            return not any(figures["entries"] for figures in (await api.stats())["maps"].values())

        await until(drained)
        reports = await api.reports()
        assert {report["trigger"] for report in reports} == {"periodic"}
        assert {frozenset(report["maps"]) for report in reports} == {
            frozenset({"signatures"}),
            frozenset({"transactions", "observations"}),
        }
        assert api.runs("periodic") >= len(reports)
        for report in reports:
            _assert_report(report)
        for figures in (await api.stats())["maps"].values():
            assert figures["removed_total"]["expired"] == 40
