"""The shape of `GET /sources`."""

from pydantic import Field

from app.models import JsonModel


class Delays(JsonModel):
    """Milliseconds behind the first: half of the duplicates were no later than p50, and so on."""

    p50: float
    p95: float
    p99: float


class Ages(JsonModel):
    """Milliseconds since the earlier acceptance: for half of the late duplicates no more than p50."""

    p50: float
    p99: float


class Late(JsonModel):
    """Late duplicates: accepted because the window had passed, though their transaction was still kept."""

    count: int = Field(description="How many; an estimate by the sample, at most `accepted`.")
    share: float = Field(description="Of the transactions it delivered that were accepted; an estimate.")
    age_ms: Ages = Field(description="How long they had been accepted before.")


class Part(JsonModel):
    """How many transactions, and which share; both are estimates by a sample."""

    count: int = Field(
        description="At most what was accepted, for `solo` from the source itself, for `missed` from others."
    )
    share: float


class SourceView(JsonModel):
    """One source, as this gate saw it since it started."""

    source: str
    accepted: int = Field(description="Transactions it delivered that were accepted, late duplicates too.")
    duplicate: int = Field(description="Transactions it delivered after somebody, itself included.")
    first_share: float = Field(
        description="Of all transactions accepted, the share it delivered first; late duplicates are left "
        "out, by the estimate of `late`."
    )
    delay_ms: Delays | None = Field(description="How far behind the first its duplicates were; null without.")
    late: Late | None = Field(description="Its late duplicates; null when the sample has none.")
    missed: Part | None = Field(
        description="What others delivered and it did not, while it was active; null before the sample has "
        "any that others delivered."
    )
    solo: Part | None = Field(
        description="What it delivered and nobody else, of all it delivered; null before the sample has any."
    )
    highest_slot: int | None = Field(description="The highest slot it delivered; null without.")
    last_seen_ms: int = Field(description="Milliseconds since the epoch, by the store's clock.")
    silent_since_ms: int | None = Field(
        description="When it was last seen, if that is a minute ago or longer; null while it delivers."
    )


class SourcesView(JsonModel):
    """Every source, the one that was first most often first; those past TIDEGATE_MAX_SOURCES as `other`."""

    since_ms: int = Field(description="When this gate began to count, milliseconds since the epoch.")
    recommended_window_seconds: float | None = Field(
        description="The window that 99.9 % of what came again would have been a duplicate within: of the "
        "duplicates and, by the sample, of the late ones; null when nothing came again."
    )
    sources: list[SourceView]
