"""What the tests of settings at run time share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from app.settings.model import Settings
from app.store.partitions import first_prefix
from tests.support.api_calls import Api, open_api, until
from tests.support.ledger import store_key
from tests.support.servers import StoreServer

SETTINGS_KEY = store_key(first_prefix("tidegate"), "settings")
"""The key of the settings, in the first partition."""


async def patch(api: Api, headers: dict[str, str] | None = None, **values: object) -> httpx.Response:
    """PATCH settings by their names."""
    return await api.http.patch("/settings", json=values, headers=headers)


async def patched(api: Api, headers: dict[str, str] | None = None, **values: object) -> dict[str, Any]:
    """Change settings, assert that it succeeds, and return the document."""
    response = await patch(api, headers, **values)
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


async def refused(api: Api, status: int = 422, **values: object) -> str:
    """Assert that a change of settings is refused and changes nothing; returns the detail of the problem."""
    before = (await api.http.get("/settings")).json()
    response = await patch(api, None, **values)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert (await api.http.get("/settings")).json() == before
    return str(response.json()["detail"])


async def shown(api: Api, name: str) -> dict[str, Any]:
    """One setting as GET shows it."""
    view: dict[str, Any] = (await api.http.get("/settings")).json()["settings"][name]
    return view


def stored(server: StoreServer) -> bytes | None:
    """What lies in the store."""
    with server.client() as client:
        found: bytes | None = client.get(SETTINGS_KEY)
    return found


def put(server: StoreServer, document: bytes) -> None:
    """Put something else in its place."""
    with server.client() as client:
        client.set(SETTINGS_KEY, document, ex=600)


@asynccontextmanager
async def two_gates(settings: Settings, other: Settings | None = None) -> AsyncIterator[tuple[Api, Api]]:
    """Two gates of one store."""
    async with open_api(settings) as one, open_api(other or settings) as two:
        yield one, two


async def until_version(api: Api, version: int) -> None:
    """Wait until a gate follows this change."""

    async def has_it() -> bool:
        return api.runtime.live.version == version

    await until(has_it)
