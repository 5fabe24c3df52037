"""Remembers what was delivered lately, which is most likely a duplicate when it comes again.

Of the signatures B, C and D of a flush, say C came a second ago from another feed. Then B and D are taken for
new, and their transactions go to the store with the first call; of C only the hash goes. It is a guess: the
store decides, and a wrong guess costs a second call, or a transaction sent in vain. That a signature's hash
is kept with it, so that what five feeds deliver is hashed once, is worth as much as the calls saved.

With several workers the feeds come to different ones, each of which alone would take most for new. So they
share fingerprints: half of each hash, in memory that all of them have mapped.
"""

import mmap
import struct
from collections.abc import Sequence
from itertools import compress
from operator import not_
from typing import NamedTuple, Self

from app.models import ACCEPTED, REFUSED, UNSEEN
from app.store.partitions import signature_hashes

GENERATION = 16_384
LEARNING = 0.1
MOST_WRONG = 0.2
SLOTS = 1 << 16
SLOT_BYTES = 8
FINGERPRINT_BYTES = SLOTS * SLOT_BYTES


class Fingerprints:
    """Halves of the hashes of what any worker had, each in the slot of shared memory that it picks itself.

    Another signature may take the slot, and two workers may write it at once: that makes the guess worse.
    """

    def __init__(self, memory: mmap.mmap | bytearray) -> None:
        """Use memory of a power of two slots, which is all 0 at the start."""
        self._slots = memoryview(memory).cast("Q")

    @classmethod
    def follow(cls, memory: int) -> Self:
        """Use the shared memory of this descriptor, `FINGERPRINT_BYTES` long."""
        return cls(mmap.mmap(memory, FINGERPRINT_BYTES))

    def note(self, hashes: Sequence[bytes]) -> bytes:
        """Return a byte for each hash, 1 if a worker had it, else 0; from now on all of them are had."""
        slots, last = self._slots, len(self._slots) - 1
        halves = struct.unpack(f"={2 * len(hashes)}Q", b"".join(hashes))[::2]
        known = bytes([slots[half & last] == half for half in halves])
        for half in halves:
            slots[half & last] = half
        return known


class Guess(NamedTuple):
    """Signatures in the order in which the store is asked about them: those taken for new first."""

    places: Sequence[int]
    """The place of each signature in the flush; a range if none had to be moved."""
    hashes: Sequence[bytes]
    new_count: int
    """How many are taken for new."""

    def without(self, known: bytes) -> "Guess":
        """Put the signatures that have a 1 in `known` behind the others: they are not new after all."""
        if 1 not in known:
            return self
        new = bytes(map(not_, known))
        return Guess(
            [*compress(self.places, new), *compress(self.places, known)],
            [*compress(self.hashes, new), *compress(self.hashes, known)],
            sum(new),
        )


class Recent:
    """Signatures with their hashes in two generations: when the younger is full, the older goes.

    Full, they take 10 MB.
    """

    def __init__(self, generation: int = GENERATION, shared: Fingerprints | None = None) -> None:
        self._generation, self._shared = generation, shared
        self._young: dict[str, bytes] = {}
        self._old: dict[str, bytes] = {}
        self._wrong = 0.0

    def guess(self, signatures: Sequence[str]) -> Guess:
        """Guess which signatures are new, and hash those; from now on all of them are known.

        Of B, C and D, if C is known, that is the places 0, 2, 1 and the hashes of B, D and C, of which 2 are
        new.
        """
        guess = self._guess(signatures, (self._young, self._old) if self._old else (self._young,))
        if len(self._young) > self._generation:
            self._young, self._old = {}, self._young
        return guess

    def _guess(self, signatures: Sequence[str], generations: Sequence[dict[str, bytes]]) -> Guess:
        """Look the signatures up in the first generation, and those that are not there in the others."""
        if not generations:
            return self._guess_unknown(signatures)
        found = list(map(generations[0].get, signatures))
        missing = found.count(None)
        if missing == len(found):
            return self._guess(signatures, generations[1:])
        if generations[0] is not self._young:
            self._young.update(zip(compress(signatures, found), filter(None, found), strict=True))
        places = range(len(found))
        if missing == 0:
            return Guess(places, found, 0)  # type: ignore[arg-type]  # none of them is None
        unknown = list(compress(places, map(not_, found)))
        rest = self._guess([signatures[at] for at in unknown], generations[1:])
        return Guess(
            [*map(unknown.__getitem__, rest.places), *compress(places, found)],
            [*rest.hashes, *filter(None, found)],
            rest.new_count,
        )

    def _guess_unknown(self, signatures: Sequence[str]) -> Guess:
        hashes = signature_hashes(signatures)
        self._young.update(zip(signatures, hashes, strict=True))
        guess = Guess(range(len(hashes)), hashes, len(hashes))
        return guess.without(self._shared.note(hashes)) if self._shared else guess

    @property
    def is_reliable(self) -> bool:
        """Tell whether of late more than four fifths of the signatures taken for new were new.

        Fewer are where several gates share the feeds, or one is far behind.
        """
        return self._wrong < MOST_WRONG

    def learn(self, codes: Sequence[int]) -> None:
        """Take in what the store said of those taken for new, at least one."""
        new = codes.count(ACCEPTED) + codes.count(UNSEEN) + codes.count(REFUSED)
        self._wrong += LEARNING * (1 - new / len(codes) - self._wrong)
