"""The signatures a gate had lately, with their hashes: most likely duplicates, while all others are new.

It is only a guess, which saves a call to the store; the store decides. That it also saves hashing again what
several feeds deliver is worth as much.
"""

from collections.abc import Sequence

from app.ingest.fingerprints import Fingerprints
from app.models import ACCEPTED, REFUSED
from app.store.maps import UNSEEN
from app.store.partitions import signature_hashes

GENERATION = 16_384
LEARNING = 0.1
MOST_WRONG = 0.2


class Recent:
    """Two generations: when the younger is full, the older goes. 10 MB at the most.

    Of what it did not have itself it asks `shared`, if there is any.
    """

    def __init__(self, generation: int = GENERATION, shared: Fingerprints | None = None) -> None:
        self._generation = generation
        self._shared = shared
        self._young: dict[str, bytes] = {}
        self._old: dict[str, bytes] = {}
        self._wrong = 0.0

    def hashes(self, signatures: Sequence[str]) -> tuple[list[bytes], bytes]:
        """The hash of each, and one byte each: 1 if it was known. From now on all of them are."""
        found = self._found(signatures)
        missing = found.count(None)
        if missing == 0:
            return found, b"\1" * len(found)  # type: ignore[return-value]  # none of them is None
        if missing == len(found):
            hashes, known = self._new(signatures)
        else:
            hashes, known = self._mixed(signatures, found)
        self._young.update(zip(signatures, hashes, strict=True))
        if len(self._young) > self._generation:
            self._young, self._old = {}, self._young
        return hashes, known

    def _found(self, signatures: Sequence[str]) -> list[bytes | None]:
        """The hash of each that is in a generation: requests are mostly in one of them, or in none."""
        found = list(map(self._young.get, signatures))
        missing = found.count(None)
        old = self._old.get
        if missing == len(found):
            return list(map(old, signatures))
        if missing:
            return [one or old(signature) for one, signature in zip(found, signatures, strict=True)]
        return found

    def _mixed(self, signatures: Sequence[str], found: Sequence[bytes | None]) -> tuple[list[bytes], bytes]:
        places = [at for at, one in enumerate(found) if one is None]
        hashes, known = self._new([signatures[at] for at in places])
        both, flags = list(found), bytearray(b"\1") * len(found)
        for at, digest, flag in zip(places, hashes, known, strict=True):
            both[at], flags[at] = digest, flag
        return both, bytes(flags)  # type: ignore[return-value]  # none of them is None any more

    def _new(self, signatures: Sequence[str]) -> tuple[list[bytes], bytes]:
        hashes = signature_hashes(signatures)
        return hashes, self._shared.note(hashes) if self._shared else bytes(len(hashes))

    @property
    def is_reliable(self) -> bool:
        """Whether those that were not known have mostly been new, of late.

        They are not where several gates share the feeds, or one is far behind.
        """
        return self._wrong < MOST_WRONG

    def learn(self, codes: Sequence[int]) -> None:
        """What the store said of those that were not known; at least one."""
        new = codes.count(ACCEPTED) + codes.count(UNSEEN) + codes.count(REFUSED)
        self._wrong += LEARNING * (1 - new / len(codes) - self._wrong)
