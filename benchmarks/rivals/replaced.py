"""The design Tidegate replaces, as small as it can be: one process with three maps, none of which is bounded.

- the dedup map has no limit on its size;
- the monitoring map, who delivered what and when, is kept for five minutes;
- the transaction map is purged by nobody.

It is served by the same uvicorn, answers like Tidegate, and keeps a payload as the bytes that came, which is
the least it can take. Listens on `TIDEGATE_PORT`.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
from fastapi import FastAPI, Request

from benchmarks.rivals.serving import serve, service, summary

WINDOW_SECONDS, MONITORING_SECONDS, PURGE_SECONDS = 5.0, 300.0, 30.0


class Item(msgspec.Struct):
    """One delivered transaction."""

    signature: str
    payload: msgspec.Raw
    slot: int | None = None


@dataclass
class Gate:
    """The three maps."""

    first_seen: dict[str, float] = field(default_factory=dict)
    monitoring: dict[str, list[tuple[str, float]]] = field(default_factory=dict)
    transactions: dict[str, bytes] = field(default_factory=dict)

    def admit(self, item: Item, source: str, now: float) -> bool:
        """Tell whether the item is accepted; either way, note who delivered it."""
        self.monitoring.setdefault(item.signature, []).append((source, now))
        if now - self.first_seen.get(item.signature, float("-inf")) < WINDOW_SECONDS:
            return False
        self.first_seen[item.signature] = now
        self.transactions[item.signature] = bytes(item.payload)
        return True

    async def purge(self) -> None:
        """Forget who delivered what more than five minutes ago, over and over."""
        while True:
            await asyncio.sleep(PURGE_SECONDS)
            oldest = time.monotonic() - MONITORING_SECONDS
            for signature in [name for name, seen in self.monitoring.items() if seen[-1][1] < oldest]:
                del self.monitoring[signature]


def create_app() -> FastAPI:
    """The service."""
    gate, decoder = Gate(), msgspec.json.Decoder(list[Item])

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(gate.purge())
        yield
        task.cancel()

    app = service(lifespan=lifespan)

    @app.post("/transactions")
    async def transactions(request: Request, source: str = "default") -> dict[str, object]:
        items, now = decoder.decode(await request.body()), time.monotonic()
        duplicates = [at for at, item in enumerate(items) if not gate.admit(item, source, now)]
        return summary(len(items), duplicates)

    return app


if __name__ == "__main__":
    serve(create_app())
