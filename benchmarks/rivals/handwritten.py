"""What one would write by hand: FastAPI, `redis.asyncio`, `SET NX EX` a transaction, a pipeline a batch.

It does not have: claim and payload in one atomic step (a crash between the two loses a transaction, and its
retry is told it is a duplicate), limits of any kind, who saw what when, metrics, signatures that leave the
store on time, or a payload kept as it came. Its store is started with the options of Tidegate's embedded one,
on a unix socket too. Listens on `TIDEGATE_PORT`.
"""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, StringConstraints
from redis.asyncio import Redis

from app.store.embedded_store import EmbeddedStore
from benchmarks.rivals.serving import serve, service, summary

WINDOW_SECONDS, RETENTION_SECONDS = 5, 120
STORE_LIMIT_BYTES = 512 * 1024 * 1024


class Item(BaseModel):
    """One delivered transaction."""

    model_config = ConfigDict(extra="forbid")

    signature: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    slot: int | None = None
    payload: Any = None


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The store and a client of it."""
    store = EmbeddedStore(STORE_LIMIT_BYTES)
    await store.ensure_running()
    app.state.redis = Redis.from_url(store.url)
    yield
    await app.state.redis.aclose()
    await store.stop()


app = service(lifespan=lifespan)


@app.post("/transactions", response_model=None)
async def transactions(body: list[Item] | Item, source: str = "default") -> JSONResponse:
    """Let each transaction through once."""
    return JSONResponse(await (one(body, source) if isinstance(body, Item) else many(body, source)))


async def one(item: Item, source: str) -> dict[str, object]:
    """A single transaction."""
    redis, now_ms = app.state.redis, time.time_ns() // 1_000_000
    if not await redis.set(f"dedup:{item.signature}", now_ms, nx=True, ex=WINDOW_SECONDS):
        return {"status": "duplicate", "signature": item.signature}
    await redis.set(f"tx:{item.signature}", stored(item, source, now_ms), ex=RETENTION_SECONDS)
    return {"status": "accepted", "signature": item.signature, "first_seen_ms": now_ms}


async def many(items: list[Item], source: str) -> dict[str, object]:
    """A batch: one pipeline to claim, one to store what was new."""
    redis, now_ms = app.state.redis, time.time_ns() // 1_000_000
    async with redis.pipeline(transaction=False) as pipe:
        for item in items:
            pipe.set(f"dedup:{item.signature}", now_ms, nx=True, ex=WINDOW_SECONDS)
        claimed = await pipe.execute()
    async with redis.pipeline(transaction=False) as pipe:
        for item, is_new in zip(items, claimed, strict=True):
            if is_new:
                pipe.set(f"tx:{item.signature}", stored(item, source, now_ms), ex=RETENTION_SECONDS)
        await pipe.execute()
    duplicates = [at for at, is_new in enumerate(claimed) if not is_new]
    return summary(len(items), duplicates)


def stored(item: Item, source: str, now_ms: int) -> str:
    """What is kept of a transaction."""
    kept = {"source": source, "slot": item.slot, "first_seen_ms": now_ms, "payload": item.payload}
    return json.dumps(kept, separators=(",", ":"))


if __name__ == "__main__":
    serve(app)
