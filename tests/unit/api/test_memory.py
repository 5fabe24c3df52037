"""`GET /memory`, its reset, and what hard pressure does to everybody."""

import gzip
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.settings.model import Settings
from app.store.session import StoreSession
from tests.conftest import MakeSettings
from tests.support.api_calls import QUIET, open_api, until
from tests.support.gate import api_client, running
from tests.support.servers import StoreServer

pytestmark = pytest.mark.server

MIB = 1024 * 1024
STATES = {"warmup", "ok", "suspect", "leak", "cooldown", "ineffective"}


async def get_memory(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get("/memory")
    assert answer.status_code == 200
    return dict(answer.json())


async def test_the_document_shows_every_process_under_watch() -> None:
    async with open_api(Settings(**QUIET)) as api:  # type: ignore[arg-type]  # numbers
        memory = await get_memory(api.http)
    assert [process["name"] for process in memory["processes"]] == ["gate", "store"]
    for process in memory["processes"]:
        assert process["rss_bytes"] >= process["floor_bytes"] > MIB
        assert process["state"] in STATES
    assert memory["level"] == "normal"
    assert (memory["limit_bytes"] is None) == (memory["limit_source"] is None)
    assert memory["guard"] == "on"
    assert memory["growth_threshold_bytes"] == 50 * MIB
    assert memory["samples"][0]["rss_bytes"].keys() == {"gate", "store"}


async def test_a_store_that_is_not_ours_is_watched_by_its_own_figures(client: httpx.AsyncClient) -> None:
    gate, store = (await get_memory(client))["processes"]
    assert (gate["name"], store["name"], store["pid"]) == ("gate", "store", None)
    assert store["rss_bytes"] == (await get_memory(client))["store"]["used_bytes"]


async def test_a_reset_is_for_operators(valkey: StoreServer, settings_for: MakeSettings) -> None:
    settings = settings_for(valkey, ingest_tokens="in", admin_tokens="ad")
    async with running(settings) as runtime, api_client(runtime) as client:
        assert (await client.get("/memory")).status_code == 200
        for token in ("in", "none"):
            answer = await client.post("/memory/reset", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 401
        answer = await client.post("/memory/reset", headers={"Authorization": "Bearer ad"})
        assert answer.status_code == 200
        assert {process["state"] for process in answer.json()["processes"]} == {"warmup"}


async def test_the_stores_memory_is_read_once_a_sample(
    valkey: StoreServer, settings_for: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the guard judges, what `/stats` shows and what a diagnosis notes are one reading."""
    settings = settings_for(valkey, memory_sample_seconds=0.1, leak_window_seconds=1)
    asked, info = list[tuple[str, ...]](), StoreSession.info

    async def noted_info(session: StoreSession, *sections: str) -> list[dict[str, Any]]:
        asked.append(sections)
        return await info(session, *sections)

    async def has_noted_some() -> bool:
        return asked.count(("keyspace",)) >= 3

    monkeypatch.setattr(StoreSession, "info", noted_info)
    async with running(settings):
        await until(has_noted_some)
    assert set(asked) == {("server", "memory", "stats"), ("keyspace",)}
    assert asked.count(("server", "memory", "stats")) >= 3


@pytest.fixture
async def pressed(valkey: StoreServer, settings_for: MakeSettings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gate whose memory limit is far below what any gate takes."""
    async with (
        running(settings_for(valkey, memory_limit_bytes=MIB)) as runtime,
        api_client(runtime) as client,
    ):

        async def refuses() -> bool:
            return runtime.guard.headroom.refuses

        await until(refuses)
        yield client


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b'{"signature":"a"}', {"Content-Type": "application/json"}),
        (b'[{"signature":"a"}]', {"Content-Type": "application/json"}),
        (b'{"signature":"a"}\n', {"Content-Type": "application/x-ndjson"}),
        (
            gzip.compress(b'{"signature":"a"}'),
            {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        ),
    ],
    ids=("object", "array", "ndjson", "gzip"),
)
async def test_hard_pressure_refuses_ingest_and_says_when_to_come_back(
    pressed: httpx.AsyncClient, content: bytes, headers: dict[str, str]
) -> None:
    answer = await pressed.post("/transactions", content=content, headers=headers)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"].endswith("memory-pressure")
    assert (await pressed.get("/transactions/a")).status_code == 404, "nothing was stored"


async def test_under_hard_pressure_everything_else_is_served(pressed: httpx.AsyncClient) -> None:
    for path in ("/stats", "/metrics", "/memory", "/cleanup", "/livez", "/docs"):
        assert (await pressed.get(path)).status_code == 200, path
    for path in ("/cleanup", "/cleanup/emergency"):
        assert (await pressed.post(path)).status_code == 200, path
    unready = await pressed.get("/readyz")
    assert unready.status_code == 503
    assert "Memory is near its limit" in unready.json()["reasons"][0]
    stats = (await pressed.get("/stats")).json()
    assert stats["memory"]["level"] == "hard"
    assert any("ingest is answered 503" in sentence for sentence in stats["warnings"])
    assert "tidegate_memory_pressure_level 2.0" in (await pressed.get("/metrics")).text
