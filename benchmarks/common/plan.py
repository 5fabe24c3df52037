"""What a load is, where it goes, and what it measured."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Literal

import numpy as np
import psutil

FEEDS = ("helius-a", "quicknode-b", "grpc-c")
# Where a feed, whose name comes behind, posts each form of body.
ADDRESSES = {"items": "/transactions?source=", "documents": "/feeds/", "block": "/feeds/", "set": ""}
# The percentiles of times that are told, and how many requests each of them takes.
LEAST_REQUESTS = {"p50_ms": 1, "p99_ms": 100, "p999_ms": 1000}
PERCENTS = {"p50_ms": 50, "p99_ms": 99, "p999_ms": 99.9, "most_ms": 100}


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

    def cpu_us(self, *parts: str) -> float:
        """CPU microseconds of some parts for each transaction."""
        return 1e6 * sum(self.cpu_seconds.get(part, 0.0) for part in parts) / max(1, self.transactions)

    def cores(self) -> dict[str, float]:
        """How many cores each part kept busy, and `other` processes: near 0 on a quiet machine."""
        others = self.machine_seconds - sum(self.cpu_seconds.values())
        return {part: used / self.seconds for part, used in {**self.cpu_seconds, "other": others}.items()}

    def figures(self) -> dict[str, float | None]:
        """What is told of it: rates, times, CPU and cores, each under a name.

        A percentile of few requests says no more than the longest of them did, and is None; so is each of a
        load that was not kept up with.
        """
        few = {name for name, least in LEAST_REQUESTS.items() if self.requests < least or not self.is_kept}
        return {
            "transactions_per_second": self.rate,
            "mb_per_second": self.rate * self.item_bytes / 1e6,
            "requests": self.requests,
            **{name: None if name in few else self.times_ms[name] for name in LEAST_REQUESTS},
            **{f"{part}_us": self.cpu_us(part) for part in self.cpu_seconds},
            **{f"{part}_cores": used for part, used in self.cores().items()},
            "checked": self.checked_transactions,
        }

    @property
    def line(self) -> str:
        """What is told of it in the terminal."""
        cores = "  ".join(f"{part} {used:.2f}" for part, used in self.cores().items())
        times = f"p50 {self.times_ms['p50_ms']:.2f} ms  p99 {self.times_ms['p99_ms']:.2f} ms"
        return f"{self.rate:10,.0f} tx/s   {times}   cores: {cores}{'' if self.is_kept else '  behind'}"


def times_ms(seconds: Sequence[float]) -> dict[str, float]:
    """The p50, p99 and p99.9, and the longest of times, in milliseconds; NaN of no times."""
    found = np.percentile(seconds, [*PERCENTS.values()]) * 1000 if seconds else [nan] * len(PERCENTS)
    return {name: round(float(value), 3) for name, value in zip(PERCENTS, found, strict=True)}
