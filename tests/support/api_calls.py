"""What the tests of the HTTP interface share: a gate with its client, and short names for its calls."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from app.runtime import Runtime
from app.settings.model import Settings
from tests.support.gate import api_client, running

# No periodic cleanup after the one at the start.
QUIET: dict[str, float] = {"cleanup_interval_seconds": 3600, "signature_cleanup_interval_seconds": 3600}
# All three maps drain within a second and a half.
BRIEF: dict[str, float] = {
    "dedup_window_seconds": 0.2,
    "transaction_retention_seconds": 1,
    "observation_retention_seconds": 1,
    "emergency_transaction_retention_seconds": 0.5,
    "emergency_observation_retention_seconds": 0.5,
}
POLL_SECONDS = 0.01


@dataclass
class Api:
    """A gate inside the test and a client of its application."""

    runtime: Runtime
    http: httpx.AsyncClient

    async def post(self, signature: str, source: str = "helius-a", payload: object = None) -> dict[str, Any]:
        """Post one transaction; the answer."""
        item = {"signature": signature, "source": source, "payload": payload}
        return _answer(await self.http.post("/transactions", json=item))

    async def post_many(self, prefix: str, count: int, source: str = "helius-a") -> dict[str, Any]:
        """Post transactions `prefix-0`, `prefix-1`… as one array; the summary."""
        items = [{"signature": f"{prefix}-{number}"} for number in range(count)]
        return _answer(await self.http.post("/transactions", json=items, headers={"X-Source": source}))

    async def find(self, signature: str) -> dict[str, Any]:
        """Look a transaction up."""
        return _answer(await self.http.get(f"/transactions/{signature}"))

    async def stats(self) -> dict[str, Any]:
        """The document of `/stats`, read from the store after this call began.

        The first request may be given the reading of a tick that was under way already; the second
        begins when that one is over.
        """
        await self.http.get("/stats")
        return _answer(await self.http.get("/stats"))

    async def clean(self, mode: str = "", **query: Any) -> dict[str, Any]:
        """Clean up by hand (`"/emergency"` for that mode); the report."""
        return _answer(await self.http.post(f"/cleanup{mode}", params=query))

    async def reports(self) -> list[dict[str, Any]]:
        """The reports kept, newest first."""
        answer: list[dict[str, Any]] = (await self.http.get("/cleanup")).json()
        return answer

    async def metrics(self) -> str:
        """The text of `/metrics`."""
        return (await self.http.get("/metrics")).text

    def sample(self, name: str, **labels: str) -> float | None:
        """One value of the registry, None without such a series."""
        return self.runtime.metrics.registry.get_sample_value(f"tidegate_{name}", labels)

    def runs(self, trigger: str, mode: str = "normal", result: str = "success") -> int:
        """How many cleanups were counted."""
        counted = self.sample("cleanup_runs_total", trigger=trigger, mode=mode, result=result)
        return int(counted or 0)

    async def is_connected(self) -> bool:
        """Whether a store of the gate's own serves; another may be down, as some tests want it."""
        return self.runtime.embedded is None or self.runtime.session.is_up

    async def has_cleaned_up(self) -> bool:
        """Whether both periodic cleanups had their first turn, even if they failed."""
        # Not by `runs`: reading the whole registry is a third of what opening a gate costs.
        totals = self.runtime.metrics.cleanup_runs_total.totals()
        return sum(sum(one) for labels, one in totals if labels[:2] == ("periodic", "normal")) >= 2


def _answer(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


@asynccontextmanager
async def open_api(settings: Settings) -> AsyncIterator[Api]:
    """A gate that is through with its first periodic cleanups, and its client; both closed in the end."""
    async with running(settings) as runtime, api_client(runtime) as http:
        api = Api(runtime, http)
        await until(api.is_connected)
        await until(api.has_cleaned_up)
        yield api


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    """Ask again and again until the answer is yes."""
    deadline = time.monotonic() + seconds
    while not await holds():
        assert time.monotonic() < deadline, f"did not come true within {seconds} s"
        await asyncio.sleep(POLL_SECONDS)


def raw_members(document: bytes) -> dict[str, bytes]:
    """The members of an object, each as the bytes that stand in the document."""
    members = msgspec.json.decode(document, type=dict[str, msgspec.Raw])
    return {name: bytes(raw) for name, raw in members.items()}


def events(logs: Iterable[Any], event: str) -> list[dict[str, Any]]:
    """The captured log entries of one event."""
    return [dict(entry) for entry in logs if entry["event"] == event]
