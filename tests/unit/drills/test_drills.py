"""Drills over HTTP: what each does, what it costs, when it may begin, and that it ends by itself."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.settings.model import Settings
from tests.support.api_calls import QUIET, Api, events, open_api, until

pytestmark = pytest.mark.server

MIB = 1024 * 1024
LIMIT = 2**31
REFUSING = ("pressure", "store-down")


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    """A gate with its embedded store and a memory limit, whose guard is warm at once."""
    settings = {"memory_limit_bytes": LIMIT, "leak_warmup_seconds": 0, "memory_sample_seconds": 0.1, **QUIET}
    async with open_api(Settings(**settings)) as opened:  # type: ignore[arg-type]  # numbers

        async def is_warm() -> bool:
            return opened.runtime.guard.watches["gate"].state == "ok"

        await until(is_warm)
        yield opened


async def begin(api: Api, drill: str, **query: Any) -> dict[str, Any]:
    if drill in REFUSING:
        query = {"refuse_ingest": "true", **query}
    answer = await api.http.post("/drill", params={"drill": drill, **query})
    assert answer.status_code == 200, answer.text
    active: dict[str, Any] = answer.json()["active"]
    return active


async def refused(api: Api, status: int, **query: Any) -> str:
    answer = await api.http.post("/drill", params=query)
    assert answer.status_code == status, answer.text
    return str(answer.json()["detail"])


async def ended(api: Api) -> str:
    """Wait for the end of the drill; how it ended."""

    async def is_over() -> bool:
        return (await api.http.get("/drill")).json()["active"] is None

    await until(is_over)
    return str((await api.http.get("/drill")).json()["past"][0]["end"])


async def fire(api: Api, status: str = "firing") -> None:
    """Post what Alertmanager sends for `TidegateDrillFull`."""
    labels = {
        "alertname": "TidegateDrillFull",
        "action": "cleanup",
        "mode": "normal",
        "map": "observations",
    }
    alert = {
        "status": status,
        "labels": labels,
        "startsAt": "2026-11-30T05:00:00Z",
        "fingerprint": "2a6e0f0d4e1b7c55",
    }
    answer = await api.http.post("/alerts", json={"version": "4", "alerts": [alert]})
    assert answer.status_code == 200, answer.text


async def test_a_full_map_is_said_to_be_full_until_the_cleanup_for_its_alert_was_run(api: Api) -> None:
    await api.post_many("kept", 50)
    with capture_logs() as logs:
        active = await begin(api, "full", seconds=600)
        assert (active["alerts"], active["order"]["map"]) == (["TidegateDrillFull"], "observations")
        assert api.sample("drill_map_fill_ratio", map="observations") == 0.95
        assert api.sample("drill_active", drill="full") == 1
        assert any(text.startswith("A drill is on (full).") for text in (await api.stats())["warnings"])
        await api.clean(map="observations")
        assert api.sample("drill_active", drill="full") == 1, "an operator's cleanup is not the alert's"
        await fire(api)
        assert await ended(api) == "answered"
    assert api.sample("drill_map_fill_ratio", map="observations") is None
    assert api.sample("drill_active", drill="full") == 0
    assert api.sample("drills_total", drill="full") == 1
    maps = (await api.stats())["maps"]
    held = {name: maps[name]["entries"] for name in ("transactions", "observations")}
    assert held == {"transactions": 50, "observations": 50}, "nothing went early"
    [begun], [over] = events(logs, "drill begun"), events(logs, "drill over")
    assert (begun["drill"], begun["map"], begun["seconds"]) == ("full", "observations", 600)
    assert (over["drill"], over["end"]) == ("full", "answered")


async def test_store_down_refuses_ingest_for_its_time_and_leaves_the_store_alone(api: Api) -> None:
    await api.post("before")
    assert "say that you want that" in await refused(api, 422, drill="store-down")
    await begin(api, "store-down", seconds=2)

    async def is_refused() -> bool:
        return (await api.http.post("/transactions", json={"signature": "during"})).status_code == 503

    await until(is_refused)
    problem = (await api.http.post("/transactions", json={"signature": "during"})).json()
    assert problem["type"].endswith("store-unavailable")
    assert problem["detail"].startswith("a drill is on")
    ready = await api.http.get("/readyz")
    assert (ready.status_code, "drill" in ready.text) == (503, True)
    assert api.sample("store_up") == 0
    assert api.sample("store_errors_total", kind="drill") >= 1  # type: ignore[operator]
    assert await ended(api) == "time"

    async def is_accepted() -> bool:
        answer = await api.http.post("/transactions", json={"signature": "after"})
        return answer.status_code == 200

    await until(is_accepted)
    assert (await api.find("before"))["signature"] == "before"


async def test_an_operator_ends_a_drill_and_a_second_one_is_refused_while_one_is_on(api: Api) -> None:
    await begin(api, "store-down", seconds=600)
    assert "a drill is on (store-down)" in await refused(api, 409, drill="full")
    assert (await api.http.delete("/drill")).json()["active"] is None
    assert await ended(api) == "stopped"
    await until(api.is_connected)
    await begin(api, "full")


@pytest.mark.parametrize(("refuse", "level"), [("false", "soft"), ("true", "hard")])
async def test_pressure_has_the_guard_act_and_refuses_only_if_that_is_wanted(
    api: Api, refuse: str, level: str
) -> None:
    await begin(api, "pressure", seconds=600, refuse_ingest=refuse)

    async def is_pressed() -> bool:
        memory = (await api.http.get("/memory")).json()
        return bool(memory["level"] == level and memory["pressure_bytes"] > 0.8 * LIMIT)

    await until(is_pressed)
    answer = await api.http.post("/transactions", json={"signature": "pressed"})
    assert answer.status_code == (503 if level == "hard" else 200)
    await api.http.delete("/drill")

    async def is_normal() -> bool:
        return bool((await api.http.get("/memory")).json()["level"] == "normal")

    await until(is_normal)
    assert (await api.post("after"))["status"] == "accepted"


async def test_a_leak_grows_to_its_budget_and_not_beyond_and_is_freed(api: Api) -> None:
    async def held() -> bool:
        return api.runtime.drills.leaked.held >= 5 * MIB

    active = await begin(api, "leak", seconds=4, bytes=10 * MIB)
    assert active["alerts"][0] == "TidegateLeakConfirmed"
    await until(held)
    assert api.runtime.drills.leaked.held <= 10 * MIB
    assert await ended(api) in ("time", "answered")
    assert api.runtime.drills.leaked.held == 0


async def test_a_leak_gives_way_as_soon_as_memory_is_needed(api: Api) -> None:
    await begin(api, "leak", seconds=600, bytes=10 * MIB)
    used = (await api.http.get("/memory")).json()["pressure_bytes"]
    changed = await api.http.patch("/settings", json={"memory_limit_bytes": round(used / 0.8)})
    assert changed.status_code == 200, changed.text
    assert await ended(api) == "memory"


async def test_a_leak_has_to_fit_below_the_soft_limit(api: Api) -> None:
    used = (await api.http.get("/memory")).json()["pressure_bytes"]
    await api.http.patch("/settings", json={"memory_limit_bytes": 2 * used})
    detail = await refused(api, 409, drill="leak", bytes=1024 * MIB)
    assert detail.startswith("1024 MiB would bring memory to its soft limit")


async def test_before_the_guard_is_warm_a_leak_would_not_be_found() -> None:
    async with open_api(Settings(**QUIET)) as api:  # type: ignore[arg-type]  # numbers
        assert "warm-up is over" in await refused(api, 409, drill="leak")


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"drill": "fire"}, "drill"),
        ({"drill": "full", "seconds": 1801}, "seconds"),
        ({"drill": "leak", "bytes": 2**31}, "bytes"),
        ({"drill": "full", "bytes": MIB}, "bytes: a drill full keeps none"),
        ({"drill": "leak", "map": "observations"}, "map: a drill leak is about none"),
        ({"drill": "full", "refuse_ingest": "true"}, "refuse_ingest: a drill full refuses nothing"),
        ({"drill": "full", "minutes": 5}, "unknown parameter `minutes`"),
        ({}, "drill"),
    ],
)
async def test_what_is_no_drill_is_refused_with_its_name(api: Api, query: dict[str, Any], named: str) -> None:
    assert named in await refused(api, 422, **query)
    assert (await api.http.get("/drill")).json() == {"active": None, "past": []}


async def test_the_end_of_the_gate_is_the_end_of_the_drill() -> None:
    settings = {"memory_limit_bytes": LIMIT, **QUIET}
    with capture_logs() as logs:
        async with open_api(Settings(**settings)) as api:  # type: ignore[arg-type]  # numbers
            await begin(api, "store-down", seconds=600)
    assert [event["end"] for event in events(logs, "drill over")] == ["stopped"]
