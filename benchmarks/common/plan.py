"""What a load is, where it goes, and what it measured."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import psutil

FEEDS = ("helius-a", "quicknode-b", "grpc-c")
# Where a feed, whose name comes behind, posts each form of body.
ADDRESSES = {"items": "/transactions?source=", "documents": "/feeds/", "block": "/feeds/", "set": ""}
# How many requests a percentile of their times takes.
LEAST_REQUESTS = {"p50_ms": 1, "p99_ms": 100, "p999_ms": 1000}


@dataclass(frozen=True)
class Plan:
    """Three feeds that deliver the same batches, as fast as they are answered or at a constant rate."""

    payload: Literal["small", "enhanced", "raw", "block"] | int = "small"
    """`small`: made-up transactions of 650 bytes; `enhanced`: real ones as Helius tells them, of 5.5 KB on
    average; `raw`: real ones as Solana tells them, of 5.1 KB; `block`: those of a block, of 4.5 KB; a number:
    transactions of exactly so many bytes, made of pieces of real ones."""
    batch_items: int = 500
    """1 posts single objects, no arrays."""
    connections: int = 6
    """Keep-alive connections, dealt out to the feeds in turn; each has one request under way."""
    copies: float = 3.0
    """How often a transaction is delivered on average; all but one are duplicates."""
    behind: tuple[int, int] | None = None
    """How many transactions the second and the third feed begin after the first, which begins each batch;
    None: any feed begins batches, and their copies are spread over the next three requests a connection."""
    warm_up_seconds: float = 1.0
    seconds: float = 5.0
    """What is measured, after the warm-up."""
    is_verified: bool = True
    """Whether the answers have to be true; a service that does nothing cannot."""
    form: Literal["items", "documents", "block", "set"] = "items"
    """`items`: Tidegate's own, posted to `/transactions`; `documents`: the payloads alone, as their provider
    sends them, posted to `/feeds/{feed}`; `block`: the same with a block of Solana around them; `set`:
    instead of a post the command that claims the signature of a single transaction in a store."""
    per_second: float | None = None
    """How many requests are due a second over all connections, whatever is answered; None: a closed loop."""


@dataclass(frozen=True)
class Target:
    """Where the load goes, and whose CPU is counted."""

    port: int
    processes: Mapping[str, list[int]]
    """Process ids under the name of their part: `gate`, `store`."""

    def cpu_seconds(self) -> dict[str, float]:
        """CPU each part has used so far, this process as `loader`, and the whole `machine`."""
        parts = {part: sum(map(_cpu_seconds, pids)) for part, pids in self.processes.items()}
        times = psutil.cpu_times()
        idle = times.idle + times.iowait + times.guest + times.guest_nice  # user time has the guests in it
        return parts | {"loader": time.process_time(), "machine": sum(times) - idle}

    def spent_since(self, before: Mapping[str, float]) -> dict[str, float]:
        """CPU seconds each has used since `cpu_seconds` answered `before`."""
        return {part: after - before[part] for part, after in self.cpu_seconds().items()}


def _cpu_seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


@dataclass(frozen=True)
class Measure:
    """What one load measured, in its `seconds` and not in the warm-up."""

    seconds: float
    transactions: int
    requests: int
    times_ms: dict[str, float]
    """`p50_ms`, `p99_ms`, `p999_ms` and `most_ms` of the requests."""
    cpu_seconds: dict[str, float]
    """CPU of the gate, the store and the loader."""
    machine_seconds: float
    """CPU of everything on the machine, others' and what the host took away included."""
    checked_transactions: int
    """How many were found accepted exactly once, of the whole run; 0 when it was not verified."""
    item_bytes: float = 0.0
    """Length of a transaction as it is sent, on average."""
    is_kept: bool = True
    """Whether all was answered that was due in its seconds; the times of a load that was not only say how far
    behind it was by their end."""

    @property
    def rate(self) -> float:
        """Transactions a second, duplicates counted."""
        return self.transactions / self.seconds

    @property
    def other_cores(self) -> float:
        """Cores that processes without a part in it took: near 0 on a quiet machine."""
        return (self.machine_seconds - sum(self.cpu_seconds.values())) / self.seconds

    def cpu_us(self, part: str) -> float:
        """CPU microseconds of a part for each transaction."""
        return 1e6 * self.cpu_seconds.get(part, 0.0) / max(1, self.transactions)

    def cores(self, part: str) -> float:
        """How many cores a part kept busy."""
        return self.cpu_seconds[part] / self.seconds

    def figures(self) -> dict[str, float | None]:
        """What is told of it: rates, times, CPU and cores, each under a name.

        A percentile of few requests says no more than the longest of them did, and is None; so is each of a
        load that was not kept up with.
        """
        few = {name for name, least in LEAST_REQUESTS.items() if self.requests < least or not self.is_kept}
        figures = {
            "transactions_per_second": self.rate,
            "mb_per_second": self.rate * self.item_bytes / 1e6,
            "requests": self.requests,
            **{name: self.times_ms[name] for name in LEAST_REQUESTS},
            **{f"{part}_us": self.cpu_us(part) for part in self.cpu_seconds},
            **{f"{part}_cores": self.cores(part) for part in self.cpu_seconds},
            "other_cores": self.other_cores,
            "checked": self.checked_transactions,
        }
        return {name: None if name in few else value for name, value in figures.items()}

    @property
    def line(self) -> str:
        """What is told of it in the terminal."""
        cores = "  ".join(f"{part} {self.cores(part):.2f}" for part in self.cpu_seconds)
        times = f"p50 {self.times_ms['p50_ms']:.2f} ms  p99 {self.times_ms['p99_ms']:.2f} ms"
        behind = "" if self.is_kept else "  behind"
        return f"{self.rate:10,.0f} tx/s   {times}   cores: {cores}  others {self.other_cores:.2f}{behind}"
