"""What the store is asked about transactions of the sample, some time after they were accepted.

Was an earlier transaction of the signature still kept then (late.lua)? And who has delivered it since
(deliverers.lua)? Each partition is asked in one call about all of its own.
"""

import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from app.models import SampledTransaction
from app.store.down_partitions import of_those_that_serve
from app.store.map_rules import Layout
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

    async def late(self, samples: Sequence[SampledTransaction]) -> list[SampledTransaction]:
        """Tell of each how many milliseconds earlier it had been accepted, None if it is no late duplicate.

        Those whose partition cannot be asked are left out.
        """
        layout, parted = self._layout, defaultdict[str, list[SampledTransaction]](list)
        for sample in samples:
            parted[layout.prefix_of(sample.digest)].append(sample)
        answers = await self._ask("late", {at: _hashes_and_moments(part) for at, part in parted.items()})
        return [
            sample._replace(late_ms=age_ms or None)
            for part, answer in zip(parted.values(), answers, strict=True)
            if answer is not None
            for sample, (age_ms,) in zip(part, _MOMENT.iter_unpack(answer), strict=True)
        ]

    async def deliverers(self, digests: Iterable[bytes]) -> dict[bytes, Delivered]:
        """Tell who delivered each of these transactions, all different.

        Those that are not kept are left out, and those whose partition cannot be asked.
        """
        layout, parted = self._layout, defaultdict[str, list[bytes]](list)
        for digest in digests:
            parted[layout.prefix_of(digest)].append(digest)
        answers = await self._ask("deliverers", {at: [b"".join(part)] for at, part in parted.items()})
        return {
            digest: Delivered(found[0], parse_sightings(found[2], found[0], found[1]))
            for part, answer in zip(parted.values(), answers, strict=True)
            for digest, found in zip(part, answer or (), strict=False)
            if found
        }

    async def _ask(self, script: str, arguments: Mapping[str, Sequence[bytes]]) -> list[Any]:
        """Call a script on some of the partitions; None for each whose master cannot be used.

        Raises:
            StoreError: the store is down, or one failed for a reason that is not its master's.
        """
        layout = self._layout
        calls = (self._session.run(script, at, [layout.rules, *args]) for at, args in arguments.items())
        answers = await of_those_that_serve(calls, len(layout.prefixes))
        if arguments:
            self._session.ensure_up()
        return answers


def _hashes_and_moments(samples: Sequence[SampledTransaction]) -> tuple[bytes, bytes]:
    """Return the arguments 2 and 3 of late.lua."""
    moments = (_MOMENT.pack(sample.accepted_ms % 2**32) for sample in samples)
    return b"".join([sample.digest for sample in samples]), b"".join(moments)
