"""What the store is asked about transactions of the sample, some time after they were accepted.

Was an earlier transaction of the signature still kept then (late.lua)? And who has delivered it since
(deliverers.lua)? Each partition is asked in one call about all of its own.
"""

import asyncio
import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from app.models import Sample
from app.store.down_partitions import of_those_that_serve
from app.store.layout import Layout
from app.store.session import StoreSession
from app.store.sightings import Delivered, parse_sightings

_MOMENT = struct.Struct(">I")


class SampleQueries:
    """Asks the partitions of one store."""

    def __init__(self, session: StoreSession, layout_of: Callable[[int], Layout]) -> None:
        """Call scripts over a session; `layout_of` gives the layout of a number of partitions."""
        self._session, self._layout_of = session, layout_of

    @property
    def _layout(self) -> Layout:
        return self._layout_of(self._session.partitions)

    def reachable(self, samples: Iterable[Sample]) -> list[Sample]:
        """Return those whose partition is not down."""
        layout, down = self._layout, self._session.down_partitions.reasons
        return [sample for sample in samples if layout.prefix_of(sample.digest) not in down]

    async def late(self, samples: Sequence[Sample]) -> list[int | None]:
        """Tell how many milliseconds earlier each had been accepted; None if it is no late duplicate."""
        layout, parted = self._layout, defaultdict[str, list[int]](list)
        for at, sample in enumerate(samples):
            parted[layout.prefix_of(sample.digest)].append(at)
        calls = (
            self._session.run("late", prefix, [layout.rules, *_hashes_and_moments(samples, part)])
            for prefix, part in parted.items()
        )
        ages: list[int | None] = [None] * len(samples)
        for part, answer in zip(parted.values(), await asyncio.gather(*calls), strict=True):
            for at, (age_ms,) in zip(part, _MOMENT.iter_unpack(answer), strict=True):
                ages[at] = age_ms or None
        return ages

    async def deliverers(self, digests: Iterable[bytes]) -> dict[bytes, Delivered]:
        """Tell who delivered each of these transactions, all different; those not kept are left out."""
        layout, parted = self._layout, defaultdict[str, list[bytes]](list)
        for digest in digests:
            parted[layout.prefix_of(digest)].append(digest)
        calls = [
            self._session.run("deliverers", prefix, [layout.rules, b"".join(part)])
            for prefix, part in parted.items()
        ]
        answers = await of_those_that_serve(calls)
        found = (
            zip(part, answer or (), strict=False)
            for part, answer in zip(parted.values(), answers, strict=True)
        )
        return {
            digest: Delivered(answer[0], parse_sightings(answer[2], answer[0], answer[1]))
            for digest, answer in chain.from_iterable(found)
            if answer
        }


def _hashes_and_moments(samples: Sequence[Sample], places: Sequence[int]) -> tuple[bytes, bytes]:
    """Return the arguments 2 and 3 of late.lua for the samples at these places."""
    chosen = [samples[at] for at in places]
    moments = (_MOMENT.pack(sample.accepted_ms % 2**32) for sample in chosen)
    return b"".join([sample.digest for sample in chosen]), b"".join(moments)
