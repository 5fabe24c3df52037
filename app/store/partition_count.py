"""How many partitions a Cluster has: chosen by the first gate that uses it, and kept with its data.

The number stands in `tidegate:{0}:2:partitions`, where the first gate that sets it decides: of two gates that
start at once one finds what the other has set, whatever either has counted. Each tick sets it anew in every
partition (sizes.lua). So a master that lost its data does not lose the number with it: a gate that starts
asks the partitions that a Cluster has whatever the number, which lie on four slots far from one another.

    the first gate, with 3 masters    nobody knows a number: it sets 16
    another, when there are 9         finds 16
    the first partition is lost       16 stands in others: it is set again
    one cannot be asked               16 stands in others: that is enough
    all data is lost                  gates that run set 16 again, else the next one that starts chooses anew
"""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from app.errors import StoreOfOtherFormat
from app.store.cluster import Cluster
from app.store.down_partitions import settled
from app.store.map_rules import LEDGER_EXPIRY_SECONDS, SETTINGS_EXPIRY_SECONDS
from app.store.partitions import (
    EARLIER_PARTITIONS,
    FORMAT,
    LEAST_PARTITIONS,
    first_prefix,
    is_partition_count,
    partition_prefixes,
    partitions_for,
)

_EARLIER_REFUSED = "Tidegate keeps this Cluster in another number of partitions than this gate knows of."


async def partition_count(cluster: Cluster, prefix: str) -> int:
    """Find how many partitions the Cluster has under this prefix, or choose it, if it has no data.

    One partition that states a number settles it, whether others can be asked or not. Each tick states it in
    all of them: so where one is asked and states none, a Cluster has none but six.

    Raises:
        StoreOfOtherFormat: what is kept is no number of partitions.
        NotConnected, AnswerLost, TimeoutError, ReplyError: a partition that may know cannot be asked.
    """
    stated = await _stated(cluster, prefix)
    known = next((found for found in stated if isinstance(found, bytes)), None)
    if known is not None:
        count = _number(known)
    elif None in stated and await _is_used_by_earlier_gates(cluster, prefix):
        return EARLIER_PARTITIONS
    else:
        _ensure_answered(stated)
        count = partitions_for(cluster.masters)
    if stated[0] is None:
        count = await _set(cluster, prefix, count)
    await _refuse_earlier_gates(cluster, prefix)
    return count


async def _stated(cluster: Cluster, prefix: str) -> list[Any]:
    """Return what each partition states, that of the first first: a number, None, or why it cannot say."""
    asked = partition_prefixes(prefix, LEAST_PARTITIONS)
    return await settled(cluster.call(at, "GET", _key(at)) for at in asked)


async def _is_used_by_earlier_gates(cluster: Cluster, prefix: str) -> bool:
    """Tell whether one of six partitions has data, or gates of format 1 are at work there (formats.lua)."""
    kinds = (f"{FORMAT}:ledger", f"{FORMAT}:bridge", "signatures:ledger", "probe")
    found = await settled(
        cluster.call(at, "EXISTS", *(f"{at}:{kind}" for kind in kinds))
        for at in partition_prefixes(prefix, EARLIER_PARTITIONS)
    )
    if any(count for count in found if isinstance(count, int)):
        return True
    _ensure_answered(found)
    return False


def _ensure_answered(outcomes: Iterable[object]) -> None:
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome


async def _set(cluster: Cluster, prefix: str, count: int) -> int:
    """Set the number, unless another gate has; return what is set."""
    first = first_prefix(prefix)
    key, milliseconds = _key(first), LEDGER_EXPIRY_SECONDS * 1000
    await cluster.call(first, "SET", key, count, "NX", "PX", milliseconds)
    return _number(await cluster.call(first, "GET", key))


async def _refuse_earlier_gates(cluster: Cluster, prefix: str) -> None:
    """Leave the mark of another format where gates look for it that know of six partitions only.

    It is not worth failing for: without such gates it is of no use.
    """
    earlier = partition_prefixes(prefix, EARLIER_PARTITIONS)[0]
    mark, milliseconds = f"{earlier}:transactions:ledger", SETTINGS_EXPIRY_SECONDS * 1000
    with suppress(Exception):
        await cluster.call(earlier, "SET", mark, _EARLIER_REFUSED, "PX", milliseconds)


def _key(prefix: str) -> str:
    return f"{prefix}:{FORMAT}:partitions"


def _number(kept: Any) -> int:
    text = kept.decode(errors="replace") if isinstance(kept, bytes) else str(kept)
    if not text.isdecimal() or not is_partition_count(int(text[:4])):
        raise StoreOfOtherFormat(f"it keeps {text[:20]!r} as the number of its partitions")
    return int(text)
