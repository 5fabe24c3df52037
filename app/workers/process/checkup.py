"""What a worker notes of itself, and how it is examined when the control plane finds that it leaks."""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress

from app.guard.diagnosis.document import Diagnosis
from app.guard.diagnosis.examination import ProvenLeak
from app.guard.diagnosis.examiner import NOTES_A_WINDOW
from app.guard.diagnosis.figures import ProcessFigures, ProcessReader
from app.guard.diagnosis.own import ProcessExaminer
from app.process.resident_memory import rss_bytes
from app.store.live_settings import LiveSettings


class Checkup:
    """`follow` with every sample. Times are those of the system's monotonic clock, as the control plane's."""

    def __init__(
        self, live: LiveSettings, in_flight_bytes: Callable[[], int], connections: Callable[[], int]
    ) -> None:
        self._live = live
        self._own = ProcessExaminer(
            ProcessReader(lambda: rss_bytes(os.getpid()) or 0, in_flight_bytes, connections)
        )
        self._began = time.monotonic()
        self._examination: asyncio.Task[Diagnosis | None] | None = None

    @property
    def latest(self) -> ProcessFigures | None:
        """The figures last noted, a few seconds old; None before the first."""
        return self._own.latest

    async def follow(self) -> None:
        """Note the figures of this moment."""
        settings, now = self._live.settings, time.monotonic()
        is_warm = now - self._began >= settings.leak_warmup_seconds
        await self._own.follow(now, settings.leak_window_seconds / NOTES_A_WINDOW, is_warm=is_warm)

    async def examine(self, leak: ProvenLeak) -> Diagnosis | None:
        """Examine this process; None when the worker stops first."""
        self._examination = asyncio.create_task(self._own.examine(leak))
        with suppress(asyncio.CancelledError):
            return await self._examination
        return None

    def break_off(self) -> None:
        """End an examination that is under way: the worker stops."""
        if self._examination is not None:
            self._examination.cancel()
