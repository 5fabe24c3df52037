"""Finds out which sources delivered a transaction and which missed it, for `GET /sources`.

Feeds come to different workers and gates, so only the store knows who delivered what: its observations. The
process that accepted a transaction of the sample (sampled_transactions.py) looks it up once, when the window
has passed: by then every source that has the transaction has delivered it.

    accepted   by        looked up   delivered by          what is counted
    10:00:00   helius    10:00:10    helius, quick, grpc   shared by the three
    10:00:01   quick     10:00:10    quick                 solo of quick; perhaps helius and grpc missed it
    10:00:02   helius    10:00:10    helius, quick         shared by the two; helius missed that of 10:00:01

A source has missed a transaction only if it was active then: of the sample, it delivered one before and one
after it, at most a minute apart. grpc may have been switched off since 10:00:00. What it has not delivered
since counts as missed once it delivers again, and never if that takes longer than a minute.
"""

from collections.abc import Callable, Iterable
from itertools import islice

from app.ingest.source_statistics import SourceStatistics
from app.models import SampledTransaction
from app.settings.model import Settings
from app.store.sample_queries import SampleQueries
from app.store.sightings import Delivered

ACTIVE_MS = 60_000
MOST_WAIT_SECONDS = 60.0
MOST_SECONDS_A_CALL = 8


class _Active:
    """A source that delivered a transaction of the sample in the last minute, the latest at `seen_ms`."""

    def __init__(self, seen_ms: int) -> None:
        self.seen_ms = seen_ms
        self.missing = 0.0
        """How many transactions the source has not delivered since then, an estimate."""


class Misses:
    """Looks up transactions of the sample some time after their acceptance."""

    def __init__(
        self, settings: Callable[[], Settings], queries: SampleQueries, sources: SourceStatistics
    ) -> None:
        self._settings, self._queries, self._sources = settings, queries, sources
        self._active: dict[str, _Active] = {}

    async def tick(self) -> None:
        """Look up the transactions that have waited long enough, and count who delivered them.

        Raises:
            StoreError: the store cannot say; those of the second that was being looked up are left out.
        """
        settings = self._settings()
        # Observations have to be kept until they are read, with time to spare.
        wait = min(
            settings.dedup_window_seconds, settings.observation_retention_seconds / 2, MOST_WAIT_SECONDS
        )
        while seconds := [*islice(self._sources.waiting.take(wait), MOST_SECONDS_A_CALL)]:
            delivered = await self._queries.deliverers(
                {sample.digest for samples, _ in seconds for sample in samples}
            )
            for samples, one_in in seconds:
                for sample in samples:
                    self._note_found(sample, delivered.get(sample.digest), settings.late_sample * one_in)

    def _note_found(self, sample: SampledTransaction, found: Delivered | None, amount: float) -> None:
        # Accepted once more meanwhile, it has a later moment and other deliverers.
        if found is not None and found.first_seen_ms == sample.accepted_ms:
            self.note(sample, {sighting.source for sighting in found.sightings}, amount)

    def note(self, sample: SampledTransaction, deliverers: Iterable[str], amount: float) -> None:
        """Count a transaction, which stands for `amount`, for the sources that delivered or missed it.

        If the deliverers lack the source that it was accepted from, observations were removed early: then
        nothing is counted.
        """
        if sample.source not in deliverers:
            return
        names = {self._sources.name_of(source) for source in deliverers}
        at_ms = sample.accepted_ms
        for name in [name for name, active in self._active.items() if at_ms - active.seen_ms > ACTIVE_MS]:
            del self._active[name]
        for name in names:
            active = self._active.setdefault(name, _Active(at_ms))
            solo = amount if len(names) == 1 else 0.0
            self._sources.note_looked_up(name, at_ms, amount - solo, solo, active.missing)
            active.seen_ms, active.missing = at_ms, 0.0
        for name in self._active.keys() - names:
            self._active[name].missing += amount
