"""Cleanup beside everything else: its log, a store that is down, ingest that goes on."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.models import MapName, Mode, Trigger
from app.store.cleanup_severity import CleanupStep, CleanupStepResult
from app.store.maps import Maps
from tests.conftest import MakeSettings
from tests.support.api_calls import QUIET, Api, events, open_api, until
from tests.support.servers import StoreServer, valkey_server

TRANSACTIONS = frozenset({MapName.TRANSACTIONS})
# Buckets of 200 ms, cut by an emergency after 0.3 s.
LARGE: dict[str, float] = {
    "dedup_window_seconds": 0.2,
    "transaction_retention_seconds": 4.8,
    "observation_retention_seconds": 4.8,
    "emergency_transaction_retention_seconds": 0.3,
    "emergency_observation_retention_seconds": 0.3,
}

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("no_ticks")]


async def _removal_logged(api: Api, count: int) -> list[dict[str, Any]]:
    await api.post_many(f"batch-of-{count}", count)
    await asyncio.sleep(0.6)
    with capture_logs() as logs:
        report = await api.runtime.cleanup.run(Trigger.PERIODIC, Mode.EMERGENCY, TRANSACTIONS)
    assert report.maps[MapName.TRANSACTIONS].removed == count
    return events(logs, "cleanup")


async def test_a_removal_of_more_than_a_hundred_entries_is_logged_and_one_of_fewer_is_not(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    async with open_api(settings_for(valkey, **LARGE, **QUIET)) as api:
        assert await _removal_logged(api, 99) == []
        assert await _removal_logged(api, 100) == []
        [entry] = await _removal_logged(api, 101)
    assert (entry["removed"], entry["remaining"]) == ({"transactions": 101}, {"transactions": 0})
    assert (entry["log_level"], entry["trigger"], entry["mode"]) == ("info", "periodic", "emergency")


async def test_a_periodic_removal_of_signatures_alone_is_for_those_who_look_for_it(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    async with open_api(settings_for(valkey, **LARGE, **QUIET)) as api:
        await api.post_many("many", 101)
        await asyncio.sleep(0.6)
        with capture_logs() as logs:
            report = await api.runtime.cleanup.run(Trigger.PERIODIC, maps=frozenset({MapName.SIGNATURES}))
    assert report.maps[MapName.SIGNATURES].removed == 101
    [entry] = events(logs, "cleanup")
    assert entry["log_level"] == "debug"


@pytest.mark.parametrize(("path", "mode"), [("", "normal"), ("/emergency", "emergency")])
async def test_a_cleanup_by_hand_is_logged_whatever_it_removes(api: Api, path: str, mode: str) -> None:
    with capture_logs() as logs:
        await api.clean(path)
    [entry] = events(logs, "cleanup")
    assert (entry["trigger"], entry["mode"]) == ("manual", mode)


async def _answers_again(api: Api) -> bool:
    return (await api.http.post("/cleanup")).status_code == 200


async def test_with_the_store_down_it_is_503_and_a_failure_is_counted(
    settings_for: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.schedule.TICK_SECONDS", 0.1)
    with valkey_server(unix=True) as server:
        async with open_api(settings_for(server, **QUIET)) as api:
            await api.clean()
            server.kill()
            for path, mode in (("", "normal"), ("/emergency", "emergency")):
                response = await api.http.post(f"/cleanup{path}")
                assert response.status_code == 503
                assert int(response.headers["retry-after"]) >= 1
                assert response.headers["content-type"] == "application/problem+json"
                assert api.runs("manual", mode, "failure") == 1
            assert len(await api.reports()) == 3, "the two at the start and the one by hand"
            server.restart()
            await until(lambda: _answers_again(api))
            assert api.runs("manual") == 2


async def test_a_store_that_fails_half_way_is_a_failure_whose_removals_stay_counted(
    valkey: StoreServer, settings_for: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.schedule.TICK_SECONDS", 0.1)
    async with open_api(settings_for(valkey, store_deadline_seconds=0.5, **QUIET)) as api:
        await api.post_many("kept", 10)
        valkey.pause()
        try:
            response = await api.http.post("/cleanup")
        finally:
            valkey.resume()
        assert (response.status_code, api.runs("manual", "normal", "failure")) == (503, 1)
        await until(lambda: _answers_again(api))
        figures = (await api.stats())["maps"]["signatures"]
        assert figures["added_total"] - sum(figures["removed_total"].values()) == figures["entries"]


async def _fill(api: Api, batches: int) -> None:
    for number in range(batches):
        await api.post_many(f"old-{number}", 2000)


async def _post_until(api: Api, done: asyncio.Event) -> int:
    posted = 0
    while not done.is_set():
        answer = await api.post(f"meanwhile-{posted}")
        assert answer["status"] == "accepted"
        posted += 1
    return posted


async def test_ingest_goes_on_during_a_large_cleanup(valkey: StoreServer, settings_for: MakeSettings) -> None:
    async with open_api(settings_for(valkey, **LARGE, **QUIET)) as api:
        await _fill(api, 20)
        await asyncio.sleep(0.6)
        done = asyncio.Event()
        posting = asyncio.create_task(_post_until(api, done))
        await asyncio.sleep(0.05)
        report = await api.clean("/emergency")
        done.set()
        posted = await posting
    figures = report["maps"]["transactions"]
    assert figures["removed"] > 0
    assert figures["after"] <= posted, "of the old ones none is left"


async def test_between_two_steps_of_one_cleanup_transactions_are_taken(
    valkey: StoreServer, settings_for: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[str] = []
    async with open_api(settings_for(valkey, **LARGE, **QUIET)) as api:
        for number in range(5):
            await api.post_many(f"old-{number}", 10)
            await asyncio.sleep(0.2)
        await asyncio.sleep(0.4)
        step = Maps.cleanup_step

        async def post_and_step(maps: Maps, prefix: str, wanted: CleanupStep) -> CleanupStepResult:
            answers.append((await api.post(f"between-{len(answers)}"))["status"])
            return await step(maps, prefix, wanted)

        monkeypatch.setattr(Maps, "cleanup_step", post_and_step)
        report = await api.clean("/emergency", map="transactions")
    # On a busy machine some that were posted between are old enough at a later step.
    assert 50 <= report["maps"]["transactions"]["removed"] < 50 + len(answers)
    assert answers == ["accepted"] * len(answers)
    assert len(answers) >= 5, "one bucket a step"
