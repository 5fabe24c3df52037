"""The data plane: what a transaction passes from its request to the store; control is in `runtime.py`."""

from collections.abc import Mapping

from starlette.types import Receive

from app.auth import Access
from app.decode.body_budget import Arriving, ByteBudget, Headroom
from app.decode.body_reader import BodyReader, Headers
from app.decode.client_gone import Left
from app.feeds.feeds_in_force import FeedsInForce
from app.ingest.admission import Admission
from app.ingest.flush import Flusher
from app.ingest.flush_queue import FlushQueue
from app.ingest.late_duplicates import LateDuplicates
from app.ingest.lookup import Lookup
from app.ingest.recent_signatures import Fingerprints
from app.ingest.rejections import Rejections
from app.ingest.source_misses import Misses
from app.ingest.source_statistics import SourceStatistics
from app.ingest.submitter import Submitter
from app.ingest.unanswered_requests import Held
from app.metrics.catalogue import Metrics
from app.models import AcceptanceSignal, MapName, MapSizes
from app.settings.model import Settings
from app.settings.process_limits import most_feed_bytes, process_limits
from app.store.full_store import FullStore
from app.store.map_rules import flush_max_items
from app.store.maps import Maps
from app.store.replication import Replication
from app.store.sample_queries import SampleQueries
from app.store.session import StoreSession
from app.store.settings_in_force import LiveSettings


class DataPlane:
    """Builds and holds the parts of the data plane, around a store session.

    Workers of one service share `fingerprints` of the signatures that any of them had lately. Whoever listens
    to `signal` is told after each flush in which something was accepted.
    """

    def __init__(  # noqa: PLR0913, PLR0917  as many parts as it is given
        self,
        live: LiveSettings,
        session: StoreSession,
        metrics: Metrics,
        access: Access,
        headroom: Headroom,
        feeds: FeedsInForce,
        signal: AcceptanceSignal,
        fingerprints: Fingerprints | None = None,
    ) -> None:
        settings = live.settings
        limits = process_limits(settings)
        self._live, self._session = live, session
        self.metrics = metrics
        self.access = access
        self.feeds = feeds
        self.rejections = Rejections(metrics)
        self.body_budget = ByteBudget(limits.body_bytes, headroom, limits.requests)
        self.admission = Admission(access, live, headroom, self.body_budget, metrics)
        wanted, deadline_seconds = settings.store_min_replicas, settings.store_deadline_seconds
        replication = Replication(session, wanted, deadline_seconds) if wanted else None
        self.full_store = FullStore(session, settings.store_url)
        self.maps = Maps(session, live.layout, replication)
        self.sources = SourceStatistics(
            metrics.source_limit.label, lambda: live.settings.dedup_window_seconds
        )
        metrics.registry.register(self.sources)
        queries = SampleQueries(session, live.layout)
        self._late = LateDuplicates(lambda: live.settings, queries, self.sources)
        self._misses = Misses(lambda: live.settings, queries, self.sources)
        self.flush_queue = FlushQueue(
            Flusher(self.maps, metrics, self.sources, fingerprints, signal).flush,
            flush_max_items(settings, partitions=1),
            limits.queued_items,
            limits.queued_bytes,
        )
        self.submitter = Submitter(self.flush_queue, metrics)
        self.lookup = Lookup(self.maps)

    @property
    def settings(self) -> Settings:
        """Return the settings in force now; they can change at every tick."""
        return self._live.settings

    @property
    def is_busy(self) -> bool:
        """Whether transactions wait for the store or are being stored."""
        return self.flush_queue.held_items > 0

    @property
    def in_flight_bytes(self) -> int:
        """Return the bytes of bodies and of queued payloads held now."""
        return self.body_budget.held + self.flush_queue.held_bytes

    @property
    def held(self) -> Held:
        """Return what is held now for requests that are not answered yet, beside the limits in force."""
        limits, queue = process_limits(self.settings), self.flush_queue
        return Held(
            *(self.body_budget.held, self.body_budget.limit),
            *(queue.held_items, limits.queued_items),
            *(queue.held_bytes, limits.queued_bytes),
        )

    def body(
        self,
        headers: Headers,
        receive: Receive,
        sender: str,
        most_bytes: int | None = None,
        left: Left | None = None,
    ) -> BodyReader:
        """Return the reader of a request's body; `most_bytes` replaces larger limits, sent and inflated.

        `sender` is the source of a post, and else the address; `left` tells of a client that has gone.
        """
        sent, inflated = self.settings.max_body_bytes, self.settings.max_inflated_bytes
        if most_bytes is not None:
            sent, inflated = min(sent, most_bytes), min(inflated, most_bytes)
        return BodyReader(headers, receive, Arriving(self.body_budget, sender), sent, inflated, left)

    def feed_body(
        self, headers: Headers, receive: Receive, feed: str, left: Left | None = None
    ) -> BodyReader:
        """Return the reader of the body of a feed, which has one limit, sent and inflated."""
        most = most_feed_bytes(self.settings)
        return BodyReader(headers, receive, Arriving(self.body_budget, feed), most, most, left)

    async def look_up_sample(self) -> None:
        """Find out what of the sample is late, and who delivered what has waited long enough.

        Raises:
            StoreError: the store cannot say; what was to be looked up now is left out.
        """
        await self._late.tick()
        await self._misses.tick()

    async def follow_store(self, maps: Mapping[MapName, MapSizes]) -> None:
        """Fit flushes to the store, and find out what fills it if it is full; given the maps as just read."""
        self._fit_flushes()
        await self.full_store.note(maps, is_full=self.maps.is_full)

    def _fit_flushes(self) -> None:
        """Make a flush no larger than the partitions of the store can take, once it is connected."""
        self.flush_queue.flush_max_items = flush_max_items(self.settings, self._session.partitions)

    def apply(self, settings: Settings) -> None:
        """Pass changed settings to those who do not look them up each time."""
        limits = process_limits(settings)
        self._fit_flushes()
        self.flush_queue.resize(limits.queued_items, limits.queued_bytes)
        self.body_budget.most = limits.body_bytes
