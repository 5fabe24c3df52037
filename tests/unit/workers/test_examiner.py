"""A worker that examines itself."""

import asyncio
import time

from app.guard.diagnosis.examiner import ProvenLeak
from app.guard.leak.finding import Finding, Tier
from app.settings.model import Settings
from app.store.settings_in_force import LiveSettings
from app.workers.process.examiner import WorkerExaminer


async def test_a_worker_that_stops_breaks_off_its_examination() -> None:
    examiner = WorkerExaminer(LiveSettings(Settings()), lambda: 0, lambda: 0)
    await examiner.follow()
    now = time.monotonic()
    leak = ProvenLeak("worker-1", Finding(Tier.RULE, 1, 300.0, 1.0, now - 300), now, 0, {})
    examined = asyncio.create_task(examiner.examine(leak))
    # It counts objects, then traces for a minute.
    async with asyncio.timeout(60):
        for _ in range(3):
            await asyncio.sleep(0)
        examiner.break_off()
        assert await examined is None
