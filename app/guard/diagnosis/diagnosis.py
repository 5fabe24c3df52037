"""The shape of a diagnosis, in `GET /memory` and in the files: what grew in one process, and by how much."""

from enum import StrEnum

from pydantic import Field

from app.guard.leak.finding import Tier
from app.models import JsonModel


class Cause(StrEnum):
    """What grew, as far as the evidence goes; `unknown` when it does not."""

    PYTHON_OBJECTS = "python_objects"
    C_HEAP = "c_heap"
    CONNECTIONS = "connections"
    TASKS = "tasks"
    METRIC_LABELS = "metric_labels"
    ALLOCATOR = "allocator"
    STORE_MAPS = "store_maps"
    STORE_FOREIGN_KEYS = "store_foreign_keys"
    STORE_CLIENTS = "store_clients"
    STORE_FRAGMENTATION = "store_fragmentation"
    UNKNOWN = "unknown"


class PartName(StrEnum):
    """Where growth can lie."""

    MAPS = "maps"
    IN_FLIGHT = "in_flight"
    CONNECTIONS = "connections"
    TASKS = "tasks"
    DESCRIPTORS = "descriptors"
    METRIC_SERIES = "metric_series"
    PYTHON_OBJECTS = "python_objects"
    C_HEAP = "c_heap"
    ALLOCATOR_HELD = "allocator_held"
    FOREIGN_KEYS = "foreign_keys"
    CLIENTS = "clients"
    FRAGMENTATION = "fragmentation"
    UNEXPLAINED = "unexplained"


class Part(JsonModel):
    """A share of the growth; negative when that part shrank. All parts add up to `growth_bytes`."""

    part: PartName
    bytes: int
    count: int | None = Field(None, description="How many more there are, where they can be counted.")


class TypeGrowth(JsonModel):
    """Objects of a type that the garbage collector tracks, since the baseline."""

    type: str
    count: int = Field(description="How many more there are.")
    bytes: int = Field(description="Estimated from some of them, without what they refer to.")


class Allocation(JsonModel):
    """Bytes allocated while tracing, and still held at its end, by the line that allocated them."""

    place: str = Field(description="file:line")
    bytes: int
    count: int


class Diagnosis(JsonModel):
    """What grew in one process; there is one for each leak that was proven."""

    process: str
    tier: Tier
    detected_ms: int = Field(description="Milliseconds since the epoch.")
    growth_bytes: int = Field(description="Of resident memory, from the window's start to the detection.")
    window_seconds: float = Field(description="From the window's start to the detection.")
    slope_bytes_per_hour: float
    cause: Cause
    summary: str = Field(description="A sentence for the operator.")
    released_bytes: dict[str, int] = Field(description="What came back, by action of the guard.")
    parts: list[Part]
    top_types: list[TypeGrowth]
    top_allocations: list[Allocation]
    traced_seconds: float
    notes: list[str] = Field(description="What could not be read, and what follows from that.")
