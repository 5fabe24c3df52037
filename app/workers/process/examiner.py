"""What a worker notes of itself, and how it is examined when the control plane finds that it leaks."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from app.guard.diagnosis.diagnosis import Diagnosis
from app.guard.diagnosis.examiner import NOTES_A_WINDOW, ProcessExaminer, ProvenLeak
from app.guard.diagnosis.process_figures import ProcessFigures, ProcessReader
from app.process.resident_memory import own_resident_bytes
from app.store.settings_in_force import LiveSettings


class WorkerExaminer:
    """Notes the figures of this process, and examines it. Times are of the system's monotonic clock."""

    def __init__(
        self, live: LiveSettings, in_flight_bytes: Callable[[], int], connections: Callable[[], int]
    ) -> None:
        self._live = live
        self._examiner = ProcessExaminer(ProcessReader(in_flight_bytes, connections))
        self._began = time.monotonic()
        self._examination: asyncio.Task[Diagnosis | None] | None = None

    @property
    def latest(self) -> ProcessFigures | None:
        """The figures last noted, a few seconds old; None before the first."""
        return self._examiner.latest

    async def follow(self) -> None:
        """Note the figures of this moment."""
        settings, now = self._live.settings, time.monotonic()
        is_warm = now - self._began >= settings.leak_warmup_seconds
        spacing_seconds = settings.leak_window_seconds / NOTES_A_WINDOW
        await self._examiner.note(now, own_resident_bytes(), spacing_seconds, is_warm=is_warm)

    async def examine(self, leak: ProvenLeak) -> Diagnosis | None:
        """Examine this process; None when the worker stops first."""
        self._examination = asyncio.create_task(self._examiner.diagnose(leak))
        with suppress(asyncio.CancelledError):
            return await self._examination
        return None

    def break_off(self) -> None:
        """End an examination that is under way: the worker stops."""
        if self._examination is not None:
            self._examination.cancel()
