"""One sample: what a gate was like at one minute, small enough to keep 11,520 of them."""

from typing import Annotated

import msgspec

from app.models import MapName, Reason

# The store's scripts count in doubles, exact up to 2**53.
NonNegativeInt = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Name = Annotated[str, msgspec.Meta(max_length=64)]
# Control plane, store, and as many workers as the settings allow.
MOST_PROCESSES = 2 + 64
MOST_NUMBERS = 32


class ProcessSample(msgspec.Struct, frozen=True, array_like=True):
    """A process; without a process id it is the figures of a store that other gates may share."""

    name: Name
    pid: int | None
    rss_bytes: NonNegativeInt


class MapSample(msgspec.Struct, frozen=True, array_like=True):
    """A map: entries now and at most since the last sample, its warning size, totals of its ledger.

    `removed` has one total a reason, in the order of `Reason`; `late` is how many did not go in time.
    """

    entries: NonNegativeInt
    peak_entries: NonNegativeInt
    warn_entries: NonNegativeInt
    bytes: NonNegativeInt
    removed: tuple[NonNegativeInt, NonNegativeInt, NonNegativeInt, NonNegativeInt]
    due: NonNegativeInt
    late: NonNegativeInt

    @property
    def added(self) -> int:
        """The entries ever added, since added - removed = entries."""
        return self.entries + sum(self.removed)

    @property
    def on_time(self) -> int:
        """The entries that came due and were removed as `expired` in time."""
        return max(0, self.due - self.late)


class Work(msgspec.Struct, frozen=True, array_like=True):
    """What a gate did, since its sample before or in all.

    `transactions` has one number an outcome, in the order of `TransactionOutcome`; `latencies` says how many
    posts of transactions took up to each of `SECONDS_BUCKETS` and longer than the one below it, or longer.
    """

    transactions: Annotated[list[NonNegativeInt], msgspec.Meta(max_length=MOST_NUMBERS)]
    latencies: Annotated[list[NonNegativeInt], msgspec.Meta(max_length=MOST_NUMBERS)]
    cleanups: NonNegativeInt
    cleanup_seconds: Annotated[float, msgspec.Meta(ge=0, le=10**9)]

    def since(self, before: "Work | None") -> "Work":
        """Return what was done since an earlier count of the same gate; None is its start."""
        if before is None:
            return self
        return Work(
            [now - then for now, then in zip(self.transactions, before.transactions, strict=True)],
            [now - then for now, then in zip(self.latencies, before.latencies, strict=True)],
            self.cleanups - before.cleanups,
            round(max(0.0, self.cleanup_seconds - before.cleanup_seconds), 4),
        )


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """A gate at one minute; totals count from its start, those of maps from the beginning of the ledger.

    `started_ms` tells one run of a gate from the next. `maps` is None while the store was out of reach. A
    member added later goes to the end and has a default, so that gates of several versions read one another.
    """

    taken_ms: int
    started_ms: int
    uptime_seconds: Annotated[float, msgspec.Meta(ge=0, le=10**9)]
    processes: Annotated[list[ProcessSample], msgspec.Meta(max_length=MOST_PROCESSES)]
    store_used_bytes: NonNegativeInt | None
    maps: tuple[MapSample, MapSample, MapSample] | None
    normal_runs: NonNegativeInt
    emergency_runs: NonNegativeInt
    leak_detections: Annotated[dict[Name, NonNegativeInt], msgspec.Meta(max_length=MOST_PROCESSES)]
    level: Name
    leak_state: Name
    work: Work | None = None
    limit_bytes: NonNegativeInt | None = None

    def map(self, name: MapName) -> MapSample | None:
        """Return one map's figures, None while the store was out of reach."""
        return self.maps[_MAPS.index(name)] if self.maps else None


class UnusableSample(Exception):
    """Raised when what was stored is no sample."""


_MAPS = tuple(MapName)
REASONS = tuple(Reason)
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Sample)


def encoded(sample: Sample) -> bytes:
    """Encode a sample for the store, in about 240 bytes and 20 for each worker."""
    return _encoder.encode(sample)


def decoded(stored: bytes) -> Sample:
    """Decode a sample from the store.

    Raises:
        UnusableSample: it is none.
    """
    try:
        return _decoder.decode(stored)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnusableSample(str(error)) from None
