"""Finds out which sources delivered a transaction and which missed it, for `GET /sources`.

Feeds come to different workers and gates, so only the store knows who delivered what: its observations. The
process that accepted a transaction of the sample looks it up once, when the window has passed and whoever
delivers it has done so:

    accepted   by        looked up   delivered by          counts
    10:00:00   helius    10:00:05    helius, quick, grpc
    10:00:01   quick     10:00:06    quick                 solo of quick; missed by helius and grpc, perhaps
    10:00:02   helius    10:00:07    helius, quick         helius missed that of 10:00:01

A source has missed something only if it was active: it delivered something in the sample before and after
it, at most a minute apart. grpc may have been switched off at 10:00:00. What it did not deliver counts as
missed as soon as it is seen again, and never if that takes longer than a minute.
"""

from collections.abc import Callable, Iterable

from app.ingest.source_statistics import SourceStatistics
from app.models import Sample
from app.settings.model import Settings
from app.store.maps import Maps

ACTIVE_MS = 60_000
MOST_WAIT_SECONDS = 60.0


class _Active:
    """A source that delivered something of the sample in the last minute."""

    def __init__(self, seen_ms: int) -> None:
        self.seen_ms = seen_ms
        self.missing = 0.0
        """An estimate of how many it has not delivered since."""


class Coverage:
    """Looks up transactions of the sample some time after their acceptance."""

    def __init__(self, settings: Callable[[], Settings], maps: Maps, sources: SourceStatistics) -> None:
        self._settings, self._maps, self._sources = settings, maps, sources
        self._active: dict[str, _Active] = {}

    async def tick(self) -> None:
        """Look up those that have waited long enough, and count who delivered them.

        Raises:
            StoreError: the store cannot say; what was to be looked up now is left out.
        """
        settings = self._settings()
        # Observations have to be kept until then, with time to spare.
        wait = min(
            settings.dedup_window_seconds, settings.observation_retention_seconds / 2, MOST_WAIT_SECONDS
        )
        for samples, times in self._sources.waiting.take(wait):
            delivered = await self._maps.deliverers({sample.digest for sample in samples})
            for sample in samples:
                found = delivered.get(sample.digest)
                if found is not None and found.first_seen_ms == sample.accepted_ms:
                    sources = {sighting.source for sighting in found.sightings}
                    self.note(sample, sources, settings.late_sample * times)

    def note(self, sample: Sample, deliverers: Iterable[str], amount: float) -> None:
        """Count a looked-up transaction, which stands for so many, for those that delivered or missed it.

        Without the source that delivered it first, its observations are no longer whole: it says nothing.
        """
        if sample.source not in deliverers:
            return
        names = {self._sources.name_of(source) for source in deliverers}
        now_ms = sample.accepted_ms
        for name in [name for name, active in self._active.items() if now_ms - active.seen_ms > ACTIVE_MS]:
            del self._active[name]
        for name in names:
            active = self._active.setdefault(name, _Active(now_ms))
            solo = amount if len(names) == 1 else 0.0
            self._sources.note_coverage(name, now_ms, amount - solo, solo, active.missing)
            active.seen_ms, active.missing = now_ms, 0.0
        for name in self._active.keys() - names:
            self._active[name].missing += amount
