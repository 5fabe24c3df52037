"""The partitions of a store: how many there are, how their keys begin, and which signature lives in which.

A signature lives in the partition of its hash. A standalone store has one partition, whose keys begin with
`tidegate:{0}`. A Cluster has six, and what stands in the braces is chosen so that their slots lie evenly
over the 16,384: two partitions a node with three masters, one with six. So every script call stays on one
slot, and every master takes its part.
"""

from binascii import crc_hqx
from collections.abc import Iterable
from hashlib import blake2b
from itertools import count

CLUSTER_PARTITIONS = 6
SLOTS = 16_384
HASH_BYTES = 16
# The number of this format in the keys, as in lua/parts/prelude.lua.
FORMAT = 2
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


def partition_prefixes(prefix: str, is_cluster: bool) -> tuple[str, ...]:
    """The key prefix of each partition, its hash tag in braces."""
    if not is_cluster:
        return (f"{prefix}:{{0}}",)
    return tuple(f"{prefix}:{{{_tag(number)}}}" for number in range(CLUSTER_PARTITIONS))


def ledger_key(prefix: str) -> str:
    """The key of the bookkeeping of the only partition of a store that is no Cluster."""
    return f"{partition_prefixes(prefix, is_cluster=False)[0]}:{FORMAT}:ledger"


def key_slot(key: bytes) -> int:
    """The slot of a key in a Cluster: CRC-16/XMODEM of what stands in its first braces, else of all of it."""
    _, opened, rest = key.partition(b"{")
    tag, closed, _ = rest.partition(b"}")
    return crc_hqx(tag if opened and closed and tag else key, 0) % SLOTS


def partition_of(digest: bytes, partitions: int) -> int:
    """The partition of a signature, by the first bytes of its hash."""
    return int.from_bytes(digest[:4]) % partitions


def _tag(number: int) -> str:
    width = SLOTS // CLUSTER_PARTITIONS
    tags = (f"{number}.{n}" for n in count())
    return next(tag for tag in tags if key_slot(tag.encode()) // width == number)
