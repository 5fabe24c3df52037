"""The partitions of a store: how many there are, how their keys begin, and which signature lives in which.

A signature lives in the partition of its hash. A standalone store has one partition, whose keys begin with
`tidegate:{0}`. A Cluster has more, a power of two, and what stands in the braces is chosen so that their
slots lie evenly over the 16,384. So every script call stays on one slot, and every master takes its part:

    16 partitions have the slots 595, 1,619, 2,643 and so on, each 1,024 after the one before; of three
    masters the first has the slots up to 5,460, with five of these, the second five, and the third six

The first is `tidegate:{0}` in every store, which is where the number of partitions is kept.
"""

from binascii import crc_hqx
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import blake2b
from itertools import count

SLOTS = 16_384
HASH_BYTES = 16
# The number of this format in the keys, as in lua/parts/prelude.lua.
FORMAT = 2
# Of a Cluster.
LEAST_PARTITIONS, MOST_PARTITIONS = 4, 128
PARTITIONS_A_MASTER = 2
"""A Cluster gets at least so many: should it grow to twice its size, each master still has one."""
LEAST_SHARE, MOST_SHARE = 0.8, 1.25
"""What a master may have of the partitions, as parts of an even share."""
EARLIER_PARTITIONS = 6
"""The partitions of every Cluster before their number was kept with the data."""
_EARLIER_TAGS = ("0.1", "1.3", "2.2", "3.10", "4.11", "5.0")
_EMPTY = blake2b(digest_size=HASH_BYTES)


def signature_hash(signature: str) -> bytes:
    """Hash to 16 bytes by BLAKE2b (RFC 7693): nobody can make two signatures meet, not even on purpose."""
    return blake2b(signature.encode(), digest_size=HASH_BYTES).digest()


def signature_hashes(signatures: Iterable[str]) -> list[bytes]:
    """Hash each signature; a copy of an empty state takes three quarters of the time of a new one."""
    hashes, empty = [], _EMPTY.copy
    for text in map(str.encode, signatures):
        state = empty()
        state.update(text)
        hashes.append(state.digest())
    return hashes


def partitions_for(masters: int) -> int:
    """Return how many partitions a Cluster of so many masters gets that has no data yet.

    It is the lowest power of two with which the masters have about the same of them, and two or more each,
    for as long as 128 are enough for that: up to 32 masters. More would cost more, since each partition that
    a flush has something for is a call: 500 transactions take the gate 5 ms with 16 and 13 ms with 64.
    """
    counts = (1 << power for power in range(MOST_PARTITIONS.bit_length()))
    enough = (count for count in counts if count >= LEAST_PARTITIONS and _is_even(count, masters))
    return next(enough, MOST_PARTITIONS)


def _is_even(partitions: int, masters: int) -> bool:
    """Tell whether masters with ranges of slots of one length have about the same of the partitions."""
    fewest, most, even = partitions // masters, -(-partitions // masters), partitions / masters
    return fewest >= PARTITIONS_A_MASTER and LEAST_SHARE * even <= fewest and most <= MOST_SHARE * even


def is_partition_count(partitions: int) -> bool:
    """Tell whether a store can be divided into so many partitions."""
    return partitions.bit_count() == 1 and LEAST_PARTITIONS <= partitions <= MOST_PARTITIONS


def partition_prefixes(prefix: str, partitions: int) -> tuple[str, ...]:
    """The key prefix of each partition, its hash tag in braces.

    Those of 16 partitions are among those of 32, and so on.
    """
    tags = _EARLIER_TAGS if partitions == EARLIER_PARTITIONS else _tags(partitions)
    return tuple(f"{prefix}:{{{tag}}}" for tag in tags)


def first_prefix(prefix: str) -> str:
    """The key prefix of the partition that has what is kept once for a whole store."""
    return f"{prefix}:{{0}}"


def ledger_key(partition: str) -> str:
    """The key of the bookkeeping of the partition with this prefix, which each script call declares."""
    return f"{partition}:{FORMAT}:ledger"


def key_slot(key: bytes) -> int:
    """The slot of a key in a Cluster: CRC-16/XMODEM of what stands in its first braces, else of all of it."""
    _, opened, rest = key.partition(b"{")
    tag, closed, _ = rest.partition(b"}")
    return crc_hqx(tag if opened and closed and tag else key, 0) % SLOTS


def partition_of(digest: bytes, partitions: int) -> int:
    """The partition of a signature, by the first bytes of its hash."""
    return int.from_bytes(digest[:4]) % partitions


def by_partition(hashes: Iterable[bytes], prefixes: Sequence[str]) -> dict[str, list[int]]:
    """Return the indices of the hashes that are in each partition, by its prefix; none that has none."""
    found: dict[str, list[int]] = defaultdict(list)
    for index, digest in enumerate(hashes):
        found[prefixes[partition_of(digest, len(prefixes))]].append(index)
    return found


@cache
def _tags(partitions: int) -> tuple[str, ...]:
    """Return the first number whose slot is that of a partition, for each; the search takes 40 ms at most."""
    first, distance = key_slot(b"0"), SLOTS // partitions
    wanted = {(first + at * distance) % SLOTS: at for at in range(partitions)}
    tags: dict[int, str] = {}
    for number in map(str, count()):
        at = wanted.get(key_slot(number.encode()))
        if at is not None:
            tags.setdefault(at, number)
            if len(tags) == partitions:
                break
    return tuple(tags[at] for at in range(partitions))
