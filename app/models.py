"""Value types shared by all layers. The words are those of the docs, JSON, metrics and logs."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, NamedTuple

import msgspec
from pydantic import BaseModel, ConfigDict, Field


class MapName(StrEnum):
    """The three maps, each with its own retention and limit."""

    SIGNATURES = "signatures"
    TRANSACTIONS = "transactions"
    OBSERVATIONS = "observations"


class Reason(StrEnum):
    """Why an entry left its map; every removal is counted under one of these."""

    EXPIRED = "expired"
    EMERGENCY = "emergency"
    MANUAL = "manual"
    CAPACITY = "capacity"


class Trigger(StrEnum):
    """Who asked for a cleanup."""

    PERIODIC = "periodic"
    EMERGENCY = "emergency"
    MANUAL = "manual"
    ALERT = "alert"


class Mode(StrEnum):
    """`normal` removes what is past retention, `emergency` the same with retention cut."""

    NORMAL = "normal"
    EMERGENCY = "emergency"


class Verdict(StrEnum):
    """What the gate says of one transaction."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    FAILED = "failed"


class TransactionOutcome(StrEnum):
    """What became of one transaction that was delivered, as metrics and `/stats` count it."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    INVALID = "invalid"
    REFUSED = "refused"
    FAILED = "failed"


class WarningName(StrEnum):
    """Everything that a gate can warn of, as `tidegate_warning` and the log name it."""

    STORE_DOWN = "store_down"
    STORE_PARTLY_DOWN = "store_partly_down"
    REPLICAS_MISSING = "replicas_missing"
    SENTINEL_SILENT = "sentinel_silent"
    STORE_EVICTS = "store_evicts"
    STORE_FIGURES_MISSING = "store_figures_missing"
    STORE_NEAR_LIMIT = "store_near_limit"
    STORE_SMALL = "store_small"
    STORE_EMPTIED = "store_emptied"
    STORE_SET_BACK = "store_set_back"
    STORE_KEYS_GONE = "store_keys_gone"
    STORE_CLOCK_BACK = "store_clock_back"
    STORE_CLOCK_AHEAD = "store_clock_ahead"
    OLDER_GATE = "older_gate"
    REFUSED_GATE = "refused_gate"
    NEWER_GATE = "newer_gate"
    SIGNATURES_SIZE = "signatures_size"
    TRANSACTIONS_SIZE = "transactions_size"
    OBSERVATIONS_SIZE = "observations_size"
    INGEST_TOKENS_FILE_EMPTY = "ingest_tokens_file_empty"
    ADMIN_TOKENS_FILE_EMPTY = "admin_tokens_file_empty"
    FEEDS_FILE = "feeds_file"
    FEEDS_OPEN = "feeds_open"
    FEED_NOT_TAKEN = "feed_not_taken"
    SETTINGS_IGNORED = "settings_ignored"
    SETTINGS_DIFFER = "settings_differ"
    WINDOW_TOO_SHORT = "window_too_short"
    CONSUMER_LAGS = "consumer_lags"
    CONSUMER_GAP = "consumer_gap"
    WORKERS_DOWN = "workers_down"
    MEMORY_PRESSURE = "memory_pressure"
    GUARD_BLIND = "guard_blind"
    LEAK = "leak"
    DRILL = "drill"


class WarningKey(NamedTuple):
    """One warning that stands: its name, and whom it is about where there may be several, such as a feed."""

    name: WarningName
    subject: str = ""

    def __str__(self) -> str:
        return f"{self.name}:{self.subject}" if self.subject else str(self.name)


SIGNATURE_MAX_CHARS = 128
SIGNATURE_PATTERN = r"^[!-~]{1,128}\Z"
SIGNATURE_RULE = "1 to 128 visible ASCII characters without space"
SOURCE_PATTERN = r"^[A-Za-z0-9._:-]{1,64}\Z"
SOURCE_RULE = "1 to 64 of A-Z a-z 0-9 . _ : -"
CONSUMER_PATTERN = r"^(?!\.{1,2}\Z)[A-Za-z0-9._:-]{1,64}\Z"
CONSUMER_RULE = f"{SOURCE_RULE}, but neither . nor .., which clients take out of an address (RFC 3986, 5.2.4)"
DEFAULT_SOURCE = "default"
DRILL = "drill"
"""The name that a leak is counted under, instead of that of its process, when a drill has made it."""
HISTORY_DAYS = 8
"""Days that the store keeps the history of a gate, and a report may go back."""

Signature = Annotated[str, msgspec.Meta(pattern=SIGNATURE_PATTERN)]
Source = Annotated[str, msgspec.Meta(pattern=SOURCE_PATTERN)]
Slot = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Transaction(msgspec.Struct, forbid_unknown_fields=True):
    """One item as delivered; `payload` keeps the bytes of the request."""

    signature: Signature
    source: Source | None = None
    slot: Slot | None = None
    payload: msgspec.Raw = msgspec.Raw(b"null")


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The verdict on one transaction; `first_seen_ms` is None when it was refused or failed."""

    verdict: Verdict
    first_seen_ms: int | None


ACCEPTED, REFUSED = 0, 0xFFFFFFFF
JUST_NOW = 1
"""A duplicate's code is its age in milliseconds + 1; this is the code of age 0."""
# The store says so of a signature outside its window that came without its payload: it has to come again.
UNSEEN = 0xFFFFFFFE
FAILED = 0xFFFFFFFD
"""The code of a transaction whose call to the store failed; the store itself never answers it."""


class Sighting(msgspec.Struct, frozen=True):
    """A source and how long after the first acceptance it delivered, in milliseconds."""

    source: str
    delay_ms: int


class SampledTransaction(NamedTuple):
    """An accepted transaction whose signature is in the sample of TIDEGATE_LATE_SAMPLE."""

    digest: bytes
    """The hash of its signature."""
    source: str
    """The source that delivered it."""
    accepted_ms: int
    """The moment of its acceptance by the store's clock, milliseconds since the epoch."""
    late_ms: int | None
    """How long before that it had been accepted already, if it is known for a late duplicate; else None."""


class StoredTransaction(msgspec.Struct, frozen=True):
    """What `GET /transactions/{signature}` answers."""

    signature: str
    source: str
    slot: int | None
    first_seen_ms: int
    payload: msgspec.Raw
    observations: list[Sighting]


class MapSizes(msgspec.Struct, frozen=True):
    """The figures of one map: entries and bytes held now, totals since the ledger began."""

    entries: int
    bytes: int
    added: int
    removed: dict[Reason, int]
    oldest_age_seconds: float | None
    due: int
    on_time: int


@dataclass
class MemoryHeadroom:
    """What memory allows: whether no request is taken in, and the bytes left below the limit."""

    refuses: bool = False
    room_bytes: int | None = None


@dataclass
class AcceptanceSignal:
    """Tells one listener, while there is one, that this process has accepted something."""

    listener: Callable[[], object] | None = None
    """What is called after each flush in which something was accepted; None while nobody listens."""


UNKNOWN_POLICY = ""
"""The eviction policy of a master whose `INFO` does not name it, as managed services may have it."""


@dataclass(frozen=True)
class StoreFigures:
    """The store's memory by its own figures, summed over the masters; the limit is None without one."""

    used_bytes: int
    rss_bytes: int
    limit_bytes: int | None
    evicted_keys: int
    policies: frozenset[str]
    clients_bytes: int = 0
    """Bytes in buffers of clients."""

    @property
    def evicting_policies(self) -> frozenset[str]:
        """The eviction policies by which some master may remove keys to make room."""
        return self.policies - {"noeviction", UNKNOWN_POLICY}

    @property
    def may_evict(self) -> bool | None:
        """Whether some master may remove keys to make room; None while nobody knows."""
        is_known = bool(self.policies) and UNKNOWN_POLICY not in self.policies
        return bool(self.evicting_policies) or (False if is_known else None)

    @property
    def fragmentation_ratio(self) -> float:
        """Resident bytes to bytes in use."""
        return self.rss_bytes / self.used_bytes if self.used_bytes else 1.0


NO_STORE_FIGURES = StoreFigures(0, 0, None, 0, frozenset())


class JsonModel(BaseModel):
    """Base of the documented JSON shapes."""

    model_config = ConfigDict(frozen=True)


class MapRemoval(JsonModel):
    """What a cleanup did to one map: `before - removed = after`."""

    before: int
    removed: int
    after: int


class MemoryChange(JsonModel):
    """Resident bytes of the service's processes around a cleanup."""

    before_bytes: int
    after_bytes: int
    released_bytes: int


class Report(JsonModel):
    """What one cleanup did, in numbers."""

    trigger: Trigger
    mode: Mode
    dry_run: bool
    started_ms: int = Field(description="Milliseconds since the epoch, by the gate's clock.")
    duration_seconds: float
    maps: dict[MapName, MapRemoval]
    memory: MemoryChange
    left_out: dict[str, str] = Field(
        description="Partitions of a Cluster that could not be cleaned up, by their key prefix, with the "
        "kind of the failure; `maps` is without them."
    )


class ServerProblem(NamedTuple):
    """What the server says of a request of whose body it refuses the rest, as the members of a problem."""

    status: int
    slug: str
    title: str
    detail: str
    retry_after_seconds: int | None
