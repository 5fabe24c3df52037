"""How often a worker is asked for a report when many want one."""

import asyncio

import httpx

from app.ingest.source_statistics import SourceStatistics
from app.metrics.catalogue import Metrics
from app.workers.pool.worker import Worker
from app.workers.pool.worker_config import Inherited, WorkerConfig


async def test_a_hundred_scrapes_at_once_ask_a_worker_no_more_than_twice() -> None:
    asked, may_answer = asyncio.Semaphore(0), asyncio.Event()
    questions: list[str] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        questions.append(request.url.path)
        asked.release()
        await may_answer.wait()
        return httpx.Response(500)

    config = WorkerConfig("worker-1", Inherited(0, 0, 0, 0), "redis://127.0.0.1:1", {})
    worker = Worker(config, Metrics(1, "0"), SourceStatistics(str, lambda: 5.0))
    transport = httpx.MockTransport(answer)
    worker._client = httpx.AsyncClient(transport=transport, base_url="http://worker")  # noqa: SLF001  of no process
    scrapes = [asyncio.create_task(worker.ask())]
    await asked.acquire()
    scrapes += [asyncio.create_task(worker.ask()) for _ in range(100)]
    await asyncio.sleep(0)
    may_answer.set()
    await asyncio.gather(*scrapes)
    assert questions == ["/report"] * 2
