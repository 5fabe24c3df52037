"""Calls of consumers, for tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.support.streams import WAIT_SECONDS, named

Answer = dict[str, Any]
OK = httpx.codes.OK


class Consumer:
    """One name at one gate."""

    def __init__(self, http: httpx.AsyncClient, name: str) -> None:
        self.http, self.name = http, name

    async def ask(self, action: str, body: object = None, **parameters: object) -> httpx.Response:
        """`POST /consumers/{name}/{action}`."""
        path = f"/consumers/{self.name}/{action}"
        return await self.http.post(path, params=named(parameters), json=body)

    async def lease(self, **parameters: object) -> Answer:
        """Lease; the answer."""
        return _document(await self.ask("lease", **parameters))

    async def commit(self, lease: str) -> str:
        """Commit; what became of it."""
        return str(_document(await self.ask("commit", {"lease": lease}))["status"])

    async def seek(self, to: str | int) -> None:
        """Move the consumer."""
        assert _document(await self.ask("seek", {"to": to})) == {"status": "moved"}

    async def drain(self, **parameters: object) -> list[Answer]:
        """Lease and commit until there is nothing; the transactions."""
        found: list[Answer] = []
        while (answer := await self.lease(**parameters))["lease"]:
            found += answer["transactions"]
            assert await self.commit(answer["lease"]) == "committed"
        return found

    async def figures(self) -> Answer | None:
        """What `GET /consumers` says of it, None if it does not know it."""
        consumers = _document(await self.http.get("/consumers"))["consumers"]
        return next((each for each in consumers if each["name"] == self.name), None)

    async def forget(self) -> httpx.Response:
        """`DELETE /consumers/{name}`."""
        return await self.http.delete(f"/consumers/{self.name}")


@asynccontextmanager
async def consumer(url: str, name: str) -> AsyncIterator[Consumer]:
    """A consumer that calls the gate at this address."""
    async with httpx.AsyncClient(base_url=url, trust_env=False, verify=False, timeout=WAIT_SECONDS) as http:
        yield Consumer(http, name)


def _document(response: httpx.Response) -> Answer:
    assert response.status_code == OK, response.text
    document: Answer = response.json()
    return document
