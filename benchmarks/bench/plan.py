"""What a load is, what it measured, and how both travel between processes."""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal, Self

Kind = Literal["small", "enhanced"]


@dataclass(frozen=True)
class Plan:
    """A closed-loop load: three feeds that deliver the same batches, as fast as they are answered."""

    kind: Kind = "small"
    """`small`: made-up transactions of 650 bytes; `enhanced`: real ones of 5.5 KB on average."""
    batch_items: int = 500
    """1 posts single objects, no arrays."""
    connections: int = 3
    """Keep-alive connections, dealt out to the feeds in turn; each has one request under way."""
    behind: tuple[int, int] = (1500, 6000)
    """How many transactions the second and the third feed begin after the first."""
    warm_up_seconds: float = 1.5
    seconds: float = 4.0
    """What is measured, after the warm-up."""
    is_verified: bool = True
    """Whether the answers have to be true; a service that does nothing cannot."""


@dataclass(frozen=True)
class Target:
    """Where the load goes, and whose CPU is counted."""

    port: int
    processes: Mapping[str, list[int]]
    """Process ids under the name of their part: `gate`, `store`."""


@dataclass(frozen=True)
class Measure:
    """What one load measured, in its `seconds` and not in the warm-up."""

    seconds: float
    transactions: int
    requests: int
    p50_ms: float
    p99_ms: float
    cpu_seconds: dict[str, float]
    """Of the gate, the store and the loader."""
    machine_seconds: float
    """CPU of everything on the machine, others' and what the host took away included."""
    checked_transactions: int
    """How many were found accepted exactly once, of the whole run; 0 when it was not verified."""

    @property
    def rate(self) -> float:
        """Transactions a second, duplicates counted."""
        return self.transactions / self.seconds

    @property
    def other_cores(self) -> float:
        """What those who have no part in it took: near 0 on a quiet machine."""
        return (self.machine_seconds - sum(self.cpu_seconds.values())) / self.seconds

    def cpu_us(self, part: str) -> float:
        """CPU microseconds of a part for each transaction."""
        return 1e6 * self.cpu_seconds.get(part, 0.0) / max(1, self.transactions)

    def figures(self) -> dict[str, object]:
        """What goes into the details of a row."""
        shares = {part: round(spent / self.seconds, 3) for part, spent in self.cpu_seconds.items()}
        each = {part: round(self.cpu_us(part), 2) for part in self.cpu_seconds}
        return {
            "transactions_per_second": round(self.rate),
            "p50_ms": round(self.p50_ms, 2),
            "p99_ms": round(self.p99_ms, 2),
            "cores": shares | {"others": round(self.other_cores, 3)},
            "cpu_us_per_transaction": each,
            "checked_transactions": self.checked_transactions,
        }


@dataclass(frozen=True)
class Order:
    """What a loader process is told on its standard input."""

    plan: Plan
    target: Target
    tuning: dict[str, int] = field(default_factory=dict)
    """For a loader that has something to tune."""

    def encode(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls) -> Self:
        """The one on the standard input."""
        raw = json.load(sys.stdin)
        return cls(Plan(**raw["plan"]), Target(**raw["target"]), raw["tuning"])
