"""What the tests of alerts share: a gate whose cooldown runs by a clock the test holds, and calls to it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from app.alerts.receiver import AlertReceiver
from app.settings.model import Settings
from tests.support.api_calls import Api, open_api, until

COOLDOWN_SECONDS = 120.0


@dataclass
class Clock:
    """Seconds that pass when the test says so."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class AlertedGate:
    """A gate, and the clock of its cooldown."""

    api: Api
    clock: Clock
    begun: int = 0

    async def post(self, webhook: object) -> httpx.Response:
        """Post a webhook."""
        headers = {"Content-Type": "application/json"}
        return await self.api.http.post("/alerts", content=json.dumps(webhook), headers=headers)

    async def actions(self, webhook: object) -> list[str]:
        """What was done about each alert of a webhook."""
        return [alert["action"] for alert in await self.answers(webhook)]

    async def answers(self, webhook: object) -> list[dict[str, Any]]:
        """The whole answer on each alert."""
        response = await self.post(webhook)
        assert response.status_code == 200, response.text
        answers: list[dict[str, Any]] = response.json()["alerts"]
        self.begun += [answer["action"] for answer in answers].count("cleanup")
        return answers

    async def let_pass(self, seconds: float) -> None:
        """Let time pass after the cleanups that were begun have ended."""

        async def have_ended() -> bool:
            return self.api.runs("alert", "emergency") + self.api.runs("alert") >= self.begun

        await until(have_ended)
        self.clock.now += seconds

    async def kept(self) -> list[dict[str, Any]]:
        """The alerts the gate shows."""
        kept: list[dict[str, Any]] = (await self.api.http.get("/alerts")).json()["alerts"]
        return kept

    def counted(self, status: str, action: str) -> float | None:
        """The counter of alerts."""
        return self.api.sample("alerts_received_total", status=status, action=action)

    async def runs(self, mode: str = "emergency") -> int:
        """How many cleanups alerts had run; those begun are waited for."""
        await self.api.runtime.alerts.close()
        return self.api.runs("alert", mode)


@asynccontextmanager
async def open_gate(settings: Settings, *, believes_in_store: bool = False) -> AsyncIterator[AlertedGate]:
    """A gate whose cooldown the test ends; `believes_in_store`: it never hears that the store is down."""
    async with open_api(settings) as api:
        runtime, clock = api.runtime, Clock()
        await runtime.alerts.close()
        runtime.alerts = AlertReceiver(
            runtime.cleanup.run,
            runtime.metrics,
            lambda: None if believes_in_store else runtime.session.down_reason,
            lambda: COOLDOWN_SECONDS,
            clock,
        )
        runtime.parts[AlertReceiver] = runtime.alerts
        yield AlertedGate(api, clock)
