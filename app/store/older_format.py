"""Claims and lookups while gates of the format before this one are at work on the same store.

In a rolling upgrade older gates run beside newer ones for a while. Each has to find what the other has
accepted, and the older ones know nothing of the newer. So as long as one of them is at work, the newer gates
claim and look up by the scripts of the older format, which come along unchanged (lua/format_1/). Then a tick
takes the partition over into this format (formats.lua). Which format a partition is in, its answers say:

    claim              -> OLDERFORMAT   nothing was done: the call is made in format 1, and so are the next
    claim_format_1     -> an answer
    claim_format_1     -> nil           a tick has taken the partition over: the call is made in this format
"""

import struct
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Any

import msgspec

from app.models import MapName
from app.store.blocks import without_signatures
from app.store.shared_connection import Link

Args = Sequence[bytes | str | int]

RULES_FORMAT = 1
_MAP_NUMBERS = ("retention", "emergency", "width", "interval", "limit", "limit_bytes", "share", "share_bytes")
_NUMBERS = ("version", "window", "sources", "ledger_expiry", "settings_expiry")
_RULES = struct.Struct(f">B{len(_NUMBERS) + len(MapName) * len(_MAP_NUMBERS)}Q")


class OtherGates(StrEnum):
    """Gates of another format that are at work on the same store.

    OLDER: the store is in their format, and this gate keeps to it. REFUSED: older ones, while the store is in
    this format. NEWER: they keep to this format until this gate has stopped.
    """

    OLDER = "older"
    REFUSED = "refused"
    NEWER = "newer"

    @property
    def advice(self) -> str:
        """Say to everybody what they mean for this gate, and what to do."""
        return _ADVICE[self]


_ADVICE = {
    OtherGates.OLDER: (
        "An older Tidegate is at work on the same store, so this one keeps to its format: transactions are "
        "taken in and looked up, but there are no streams, consumers, cleanups and changes of settings. Stop "
        "the older ones; some seconds after the last, this gate changes over by itself (docs/upgrading.md)."
    ),
    OtherGates.REFUSED: (
        "An older Tidegate is at work on the same store, and is refused there: it stores in another "
        "way. Stop it, update it, or give it another TIDEGATE_STORE_PREFIX."
    ),
    OtherGates.NEWER: (
        "A newer Tidegate is at work on the same store, and keeps to the format of this one until this one "
        "has stopped. Stop this gate to end the upgrade, or the newer one to give it up."
    ),
}


class OlderFormat:
    """Calls the scripts that are there in both formats, on partitions that were last in the older one."""

    def __init__(self, run: Callable[[str, str, Args, set[Link] | None], Awaitable[Any]]) -> None:
        """Call scripts with `run`, which is that of a session."""
        self._run = run
        self.prefixes = set[str]()
        """The key prefixes of these partitions."""

    async def run(
        self,
        script: str,
        prefix: str,
        args: Args,
        in_format_1: Callable[[], Args],
        carriers: set[Link] | None = None,
    ) -> Any:
        """Call a script on a partition in the older format, and in this one if it was taken over meanwhile.

        The connections that carried the calls are added to `carriers`.

        Raises:
            StoreError: the store failed.
        """
        self.prefixes.add(prefix)
        answer = await self._run(f"{script}_format_1", prefix, in_format_1(), carriers)
        if answer is not None:
            return answer
        self.prefixes.discard(prefix)
        return await self._run(script, prefix, args, carriers)  # a partition never goes back


def claim_in_format_1(
    rules: bytes, delivered: Sequence[bytes], block: bytes, block_count: int, since: Sequence[int]
) -> Args:
    """Return the arguments of a claim as format 1 has them, without a sample for late duplicates."""
    return [_rules_in_format_1(rules), *delivered, without_signatures(block), block_count, *since, b""]


def lookup_in_format_1(rules: bytes, digest: bytes) -> Args:
    """Return the arguments of a lookup as format 1 has them."""
    return [_rules_in_format_1(rules), digest]


@lru_cache(maxsize=8)
def _rules_in_format_1(packed: bytes) -> bytes:
    """Return the rules of `packed_rules` in the msgpack of format 1."""
    _, *numbers = _RULES.unpack(packed)
    of_maps = iter(numbers[len(_NUMBERS) :])
    rules: dict[str, object] = dict(zip(_NUMBERS, numbers, strict=False))
    rules["format"] = RULES_FORMAT
    rules["maps"] = {name: {number: next(of_maps) for number in _MAP_NUMBERS} for name in MapName}
    return msgspec.msgpack.encode(rules)
