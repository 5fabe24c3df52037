"""The process this runs in: its figures while all is well, and what they say once it leaks."""

from app.guard.diagnosis.document import Diagnosis
from app.guard.diagnosis.examination import Baseline, ProvenLeak, diagnose_process
from app.guard.diagnosis.figures import Notes, ProcessFigures, ProcessReader
from app.guard.diagnosis.object_counts import count_objects


class ProcessExaminer:
    """A gate of one process has one; with workers, each of them and the control plane has its own."""

    def __init__(self, reader: ProcessReader) -> None:
        self._reader = reader
        self._notes = Notes[ProcessFigures]()
        self.latest: ProcessFigures | None = None
        """Of the last time they were read."""
        self.baseline: Baseline | None = None

    async def follow(self, at_seconds: float, spacing_seconds: float, *, is_warm: bool) -> None:
        """Read the figures and note them so often; once the process is warm, count its objects."""
        self.latest = self._reader.read(at_seconds)
        if self._notes.is_due(at_seconds, spacing_seconds):
            self._notes.append(self.latest)
        if is_warm and self.baseline is None:
            self.baseline = Baseline(at_seconds, await count_objects())

    async def examine(self, leak: ProvenLeak) -> Diagnosis | None:
        """Look closely, for seconds; None when nothing was noted before."""
        before, after = self._notes.at(leak.finding.since_seconds), self._figures_at(leak.until_seconds)
        if before is None or after is None:
            return None
        return await diagnose_process(leak, before, after, self.baseline, self._reader.heap)

    def _figures_at(self, seconds: float) -> ProcessFigures | None:
        """The latest, unless they are from after what the guard has done by now."""
        latest = self.latest
        return latest if latest and latest.at_seconds <= seconds else self._notes.at(seconds)
