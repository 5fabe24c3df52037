"""The three maps (signatures, transactions, observations): claim, look up, measure, clean."""

import struct
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from itertools import compress
from time import monotonic
from typing import Any, NamedTuple

import msgspec

from app.models import ACCEPTED, MapName, MapSizes, SampledTransaction
from app.store.acceptance_count import AcceptanceCount, Fall, Snapshot
from app.store.blocks import parse_block, raw_bytes
from app.store.cleanup_severity import CleanupStep, CleanupStepResult
from app.store.down_partitions import of_those_that_serve
from app.store.map_rules import Layout
from app.store.older_format import Args, OlderFormat, OtherGates, claim_in_format_1, lookup_in_format_1
from app.store.partition_sizes import PartitionSizes, combined_sizes, partition_sizes
from app.store.partitions import HASH_BYTES
from app.store.replication import Replication
from app.store.session import StoreSession
from app.store.shared_connection import Link
from app.store.shared_settings import SharedSettings, changes_of
from app.store.sightings import LookupResult, parse_sightings
from app.store.store_errors import StoreInOlderFormat

OTHER_SOURCES_INDEX = 255
_LATER = struct.Struct(">HB")
_LATE = struct.Struct(">HI")


class Deliveries(NamedTuple):
    """What a flush brings to a partition: hashes of signatures, all different, and who delivered each."""

    hashes: Sequence[bytes]
    sources: Sequence[str]
    later: Sequence[tuple[int, str]] = ()
    """What was delivered once more in the same flush: its place among the hashes, and the source."""

    def packed(self) -> list[bytes]:
        """Return the arguments 2 to 5 of claim.lua: hashes, sources, what came again, the list of sources."""
        names = list(dict.fromkeys(self.sources))
        if self.later:
            names = list(dict.fromkeys([*names, *(source for _, source in self.later)]))
        index = {name: min(at, OTHER_SOURCES_INDEX) for at, name in enumerate(names)}
        return [
            b"".join(self.hashes),
            bytes(map(index.__getitem__, self.sources)) if len(names) > 1 else bytes(len(self.sources)),
            b"".join([_LATER.pack(place, index[source]) for place, source in self.later]),
            msgspec.msgpack.encode([*names[:OTHER_SOURCES_INDEX], "other"]),
        ]


class ClaimResult(NamedTuple):
    """What the store says of the signatures it was asked to claim.

    A code each: ACCEPTED, UNSEEN, REFUSED, or for a duplicate the milliseconds since its acceptance + 1.
    """

    now_ms: int
    """When the store decided, by the server's clock, in milliseconds since the epoch."""
    codes: tuple[int, ...]
    added: int
    """How many signatures the partition has ever accepted: a second call looks only at what came between."""
    sample: Sequence[int] = ()
    """The places of those in the sample (sampled_transactions.py)."""
    late: Sequence[tuple[int, int]] = ()
    """The places of late duplicates known so far, with the milliseconds since the earlier acceptance."""
    carriers: Collection[Link] = ()
    """The connection that carried the call, where replicas have to confirm what it wrote."""

    def samples(
        self, hashes: Sequence[bytes], places: Sequence[int], sources: Sequence[str]
    ) -> list[SampledTransaction]:
        """Return what of the sample was accepted; `hashes` stand at `places` of the flush."""
        late, accepted = dict(self.late), (at for at in self.sample if self.codes[at] == ACCEPTED)
        return [
            SampledTransaction(hashes[at], sources[places[at]], self.now_ms, late.get(at)) for at in accepted
        ]


class Maps:
    """Calls the scripts of the maps on the partitions of one store."""

    def __init__(
        self,
        session: StoreSession,
        layout_of: Callable[[int], Layout],
        replication: Replication | None = None,
    ) -> None:
        """Call scripts over a session; `layout_of` gives the layout of a number of partitions.

        With `replication`, replicas have to confirm what is answered.
        """
        self._session = session
        self._layout_of = layout_of
        self.replication = replication
        self._older = OlderFormat(session.run)
        self._counts = defaultdict[str, AcceptanceCount](AcceptanceCount)
        self._latest = dict[str, PartitionSizes]()
        self._looks = 0
        self._began_ms = 0  # when the first partition first answered, by the server's clock
        self._served_since: float | None = None  # since when it does without a break, by the gate's clock
        self.is_full = False
        """Whether the store had no memory left when the sizes were last read."""
        self.other_gates = frozenset[OtherGates]()
        """Which gates of other formats were at work on the store, likewise."""
        self.stored_settings: bytes | None = None
        """The settings changed at run time, as last read: None for none, b"" for what cannot be any."""
        self.shared_settings: SharedSettings | None = None
        """What gates were started with, as it holds for all; None while the store refuses to keep it."""
        self.has_read_settings = False
        """Whether the first partition, which keeps both, has been read since this gate was started."""

    @property
    def layout(self) -> Layout:
        """The layout of the store that is connected.

        Raises:
            StoreError: none was connected to yet, for this reason.
        """
        return self._layout_of(self._session.partitions)

    def partition_of(self, digest: bytes) -> str:
        """The key prefix under which a signature's hash lives."""
        return self.layout.prefix_of(digest)

    async def claim(
        self,
        prefix: str,
        deliveries: Deliveries,
        block: bytes,
        block_count: int,
        checked: ClaimResult | None = None,
    ) -> ClaimResult:
        """Accept each signature at most once a window, store the transactions of those, note who delivered.

        The block holds the transactions of the first `block_count` signatures. Of the others, one that is not
        inside its window is UNSEEN: it is claimed with a second call that brings its transaction, and to
        which `checked` tells what the first one on that partition returned.
        """
        layout, since = self.layout, (checked.now_ms, checked.added) if checked else (0, -1)
        hashes, *_ = delivered = deliveries.packed()
        # A hash is in the sample or not by its last byte, whichever gate has it.
        in_sample = hashes[HASH_BYTES - 1 : HASH_BYTES * block_count : HASH_BYTES].translate(layout.in_sample)
        sample = [*compress(range(block_count), in_sample)]
        places = struct.pack(f">{len(sample)}H", *sample)
        in_block = (block, block_count, raw_bytes(block))
        args: list[bytes | int] = [layout.rules, *delivered, *in_block, *since, places]
        carriers: set[Link] | None = None
        if self.replication is not None:
            args.append(1)
            carriers = set()
        count = self._counts[prefix]
        before = count.snapshot()
        now_ms, packed, added, late = await self._run(
            "claim",
            prefix,
            args,
            lambda: claim_in_format_1(layout.rules, delivered, block, block_count, since),
            carriers,
        )
        codes = struct.unpack(f">{len(hashes) // HASH_BYTES}I", packed)
        count.answer(before, added - codes.count(ACCEPTED), added)
        found = [*_LATE.iter_unpack(late)] if late else ()
        return ClaimResult(now_ms, codes, added, sample, found, carriers or ())

    async def lookup(self, digest: bytes) -> LookupResult | None:
        """Find a transaction by the hash of its signature."""
        at, rules = self.partition_of(digest), self.layout.rules
        answer = await self._run("lookup", at, [rules, digest], lambda: lookup_in_format_1(rules, digest))
        if not answer:
            return None
        first_seen_ms, place, in_stretch, block, flat = answer
        sightings = parse_sightings(flat, first_seen_ms, in_stretch)
        return LookupResult(first_seen_ms, place, parse_block(block).frame, sightings)

    async def _run(
        self,
        script: str,
        prefix: str,
        args: Args,
        in_format_1: Callable[[], Args],
        carriers: set[Link] | None = None,
    ) -> Any:
        """Call a script on a partition; while gates of the older format are at work on it, in that format."""
        if prefix not in self._older.prefixes:
            try:
                return await self._session.run(script, prefix, args, carriers)
            except StoreInOlderFormat:
                pass  # nothing was done
        return await self._older.run(script, prefix, args, in_format_1, carriers)

    async def sizes(self) -> dict[MapName, MapSizes]:
        """Every map's figures over all partitions, by O(1) commands; sweeps what is due."""
        return combined_sizes(await self._read_sizes())

    async def partitions(self) -> list[PartitionSizes]:
        """Read the figures of each partition, and look for entries that are gone; sweeps what is due.

        Of older buckets each call looks at some, and eight calls look at all. Of a partition that is down it
        returns the figures that it gave last, if there are any.
        """
        self._looks += 1
        return await self._read_sizes(self._looks)

    @property
    def ends(self) -> dict[str, tuple[int, int, int]]:
        """Where each partition ended by its latest answer, as a place without the moment before it."""
        ends = {prefix: count.end for prefix, count in self._counts.items()}
        return {prefix: (born_ms, added, 0) for prefix, (born_ms, added) in ends.items() if born_ms}

    @property
    def falls(self) -> dict[str, Fall]:
        """How far each partition has fallen below what it had told this process."""
        return {prefix: count.fall for prefix, count in self._counts.items()}

    async def _read_sizes(self, look: int = 0) -> list[PartitionSizes]:
        layout = self.layout
        if not self._session.serves(layout.prefixes[0]):
            self._served_since = None
        snapshots = [self._counts[prefix].snapshot() for prefix in layout.prefixes]
        carriers = {prefix: set[Link]() for prefix in layout.prefixes}
        calls = (
            self._session.run_unguarded("sizes", at, self._sizes_arguments(at, look), carriers[at])
            for at in layout.prefixes
        )
        answers = await of_those_that_serve(calls)
        if self.replication is not None:
            await self.replication.look({link: prefix for prefix in carriers for link in carriers[prefix]})
        self.is_full = any(answer[1] for answer in answers if answer)
        self.other_gates = frozenset(OtherGates(found[4].decode()) for found in answers if found and found[4])
        if answers[0]:
            self._began_ms = self._began_ms or answers[0][0]
            self._served_since = self._served_since or monotonic()
            self.stored_settings, shared = answers[0][2:4]
            self.shared_settings = SharedSettings(*shared) if shared else None
            self.has_read_settings = True
        for prefix, answer, before in zip(layout.prefixes, answers, snapshots, strict=True):
            if answer:
                self._latest[prefix] = self._partition_sizes(prefix, answer, before)
        return [self._latest[prefix] for prefix in layout.prefixes if prefix in self._latest]

    def _sizes_arguments(self, prefix: str, look: int) -> list[bytes | str | int]:
        layout, was_away = self.layout, not self._session.serves(prefix)
        general: list[bytes | str | int] = [layout.rules, look, layout.kept_partitions, int(was_away)]
        if prefix != layout.prefixes[0]:
            return general
        served_ms = round((monotonic() - self._served_since) * 1000) if self._served_since else 0
        return [*general, *layout.start, self._began_ms, served_ms]

    def _partition_sizes(self, prefix: str, answer: Sequence[Any], before: Snapshot) -> PartitionSizes:
        """Name what sizes.lua has answered, and hold it against what the partition had told before."""
        count = self._counts[prefix]
        sizes = partition_sizes(prefix, answer)
        count.reading(before, sizes.born_ms, sizes.maps[MapName.SIGNATURES].added)
        return sizes._replace(fall=count.fall)

    async def read_settings(self) -> tuple[bytes | None, int]:
        """The settings changed at run time (b"" for none that can be), and how many changes are in force."""
        layout = self.layout
        _, version, stored = await self._session.run("settings", layout.prefixes[0], [layout.rules])
        return stored, changes_of(version)

    async def replace_settings(self, read: bytes | None, new: bytes) -> bool:
        """Store others, unless what is stored is no longer what was read; also while the store comes back."""
        layout = self.layout
        args = [layout.rules, read or b"", new]
        is_stored, *_ = await self._session.run_unguarded("settings", layout.prefixes[0], args)
        return bool(is_stored)

    async def cleanup_step(self, prefix: str, step: CleanupStep) -> CleanupStepResult:
        """Carry out one bounded step of a cleanup on one partition."""
        args: list[bytes | str | int] = [
            self.layout.rules,
            step.map_name,
            step.severity,
            step.reason,
            step.most_buckets,
            int(step.dry_run),
            int(step.periodic),
        ]
        before, removed, after, more = await self._session.run("cleanup", prefix, args)
        return CleanupStepResult(before, removed, after, bool(more))
