"""The shape of `GET /page/figures`: everything that the live page and `tidegate top` show."""

from pydantic import Field

from app.guard.leak.finding import LeakState
from app.guard.memory_view import StoreView
from app.ingest.source_views import SourceView
from app.models import JsonModel, Report
from app.observability.gate_state import GateState
from app.observability.stats import Stats


class Rates(JsonModel):
    """Transactions a second, by what became of them; `not_taken` are those invalid, refused and failed."""

    accepted: float
    duplicate: float
    not_taken: float


class PastRates(Rates):
    """The rates of a second of the past."""

    age_seconds: float


class MemoryPoint(JsonModel):
    """Resident bytes of each process at a moment of the past."""

    age_seconds: float
    rss_bytes: dict[str, int]


class WatchedProcess(JsonModel):
    """One process as the memory guard sees it; growth is that in the leak window, less what is explained."""

    name: str
    rss_bytes: int
    growth_bytes: int
    slope_bytes_per_hour: float
    state: LeakState


class LiveSource(SourceView):
    """One source, with what it delivers now."""

    per_second: float | None


class LiveConsumer(JsonModel):
    """How far one consumer has come, as the store was last asked, some seconds ago."""

    name: str
    lag_transactions: int
    lag_seconds: float
    leases: int
    delivered: int
    redelivered: int
    missed: int
    called_ms: int


class LiveFigures(JsonModel):
    """The whole document; lists of sources and consumers have the first of them."""

    taken_ms: int = Field(description="When the figures were read, milliseconds since the epoch.")
    state: GateState
    reasons: list[str] = Field(description="Why the gate takes no traffic; empty while it does.")
    warnings: list[str]
    stats: Stats
    rates: Rates | None = Field(description="Over the last five seconds; null before there are two readings.")
    duplicate_share: float | None = Field(description="Of what was taken over these seconds.")
    past_rates: list[PastRates] = Field(
        description="Of the last minute, the oldest first; readings are made only while somebody looks."
    )
    past_memory: list[MemoryPoint] = Field(description="Of the last hour, the oldest first.")
    processes: list[WatchedProcess]
    store: StoreView | None = Field(description="The store's own figures; null before it was reached.")
    sources: list[LiveSource]
    source_count: int
    consumers: list[LiveConsumer] = Field(description="The one that lags most first.")
    consumer_count: int
    cleanups: list[Report] = Field(
        description="The latest that were asked for, and the timer's latest that removed something, "
        "newest first."
    )
    needs_admin_token: bool = Field(description="Whether a cleanup needs an admin token.")
