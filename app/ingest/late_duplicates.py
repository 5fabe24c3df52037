"""Finds out which transactions of the sample are late duplicates, for `GET /sources`.

A late duplicate was accepted although an earlier transaction of its signature is still kept: the window was
too short for it. To find that one, every bucket of transactions has to be asked. So all that were accepted
since the last look are looked up in one call, at most 256 of them, and the claims need not look:

    accepted   signature   by       kept from            counted at 10:01:04
    10:01:00   A           quick    10:00:00             late, 60 s
    10:01:00   B           helius   -                    in the sample, and waits for source_misses.py
    10:01:00   C           quick    10:00:57, replaced   late, 3 s: says the claim (late_in_same_bucket.lua)

A process that ends does not count what it has accepted since its last look.
"""

from collections.abc import Callable

from app.ingest.source_statistics import SourceStatistics
from app.settings.model import Settings
from app.store.sample_queries import SampleQueries


class LateDuplicates:
    """Looks up what was accepted of the sample, and has the late ones counted."""

    def __init__(
        self, settings: Callable[[], Settings], queries: SampleQueries, sources: SourceStatistics
    ) -> None:
        self._settings, self._queries, self._sources = settings, queries, sources

    async def tick(self) -> None:
        """Look up what was accepted since the last look.

        Raises:
            StoreError: the store cannot say; what was to be looked up now is left out. On a Cluster that is
                so only if none of its masters can; else what that of a transaction cannot say is left out.
        """
        if not self._sources.fresh:
            return
        samples, times = self._sources.fresh.take()
        known = [sample for sample in samples if sample.late_ms is not None]
        known += await self._queries.late([sample for sample in samples if sample.late_ms is None])
        known.sort(key=lambda sample: sample.accepted_ms)
        self._sources.note_samples(known, self._settings().late_sample, times)
