"""Reading and leasing in tests: what was handed out, by signature."""

from collections.abc import Iterable

from app.store.consumers import Consumers, Leases
from app.store.positions import Positions, Start
from app.store.read_accepted import Extract, positions_after
from tests.support.deliver import Gate, transaction

LEASE_MS, IDLE_MS, MOST_CONSUMERS = 30_000, 3_600_000, 64
MEBIBYTE = 1 << 20


async def deliver(gate: Gate, names: Iterable[str]) -> None:
    """Deliver each in a block of its own."""
    for name in names:
        await gate.flusher.flush([transaction(name)])


def signatures_of(extract: Extract) -> list[str]:
    """List the signatures that an extract hands out."""
    handed = [
        (block.ordinal + at, record.signature)
        for block in extract.blocks
        for at, record in enumerate(block.records())
    ]
    inside = [(at, name) for at, name in handed if extract.begin <= at < extract.end]
    assert [at for at, _ in inside] == list(range(extract.begin, extract.end))
    return [name for _, name in inside]


async def read_all(
    gate: Gate, positions: Positions, limit: int = 1000, most_bytes: int = MEBIBYTE
) -> tuple[list[str], Positions, int]:
    """Read every partition to its end; what was read, where that is, and how many were missed on the way."""
    names, missed = list[str](), 0
    while True:
        extracts = await gate.accepted.read(positions, limit, most_bytes)
        positions = positions_after(extracts)
        for one in extracts:
            names += signatures_of(one)
            assert one.missed is not None
            missed += one.missed
        if all(one.end == one.added for one in extracts):
            return names, positions, missed


class Reader:
    """A caller of a consumer, with a gate of its own."""

    def __init__(self, gate: Gate, name: str = "bot") -> None:
        self.consumers = Consumers(gate.session, gate.live.layout)
        self.name = name

    async def lease(
        self, limit: int = 1000, lease_ms: int = LEASE_MS, start: Start = "oldest", most: int = MOST_CONSUMERS
    ) -> Leases:
        """Lease as callers do, with the figures of these tests."""
        args = (self.name, limit, MEBIBYTE, lease_ms, IDLE_MS, most)
        return await self.consumers.lease(*args, start)

    async def commit(self, leases: Leases) -> set[str]:
        """Commit all parts of a lease; what became of them."""
        return {
            (await self.consumers.commit(self.name, at, part.number, part.incarnation, IDLE_MS)).value
            for at, part in enumerate(leases.parts)
            if part is not None
        }

    async def drain(self, limit: int = 1000, start: Start = "oldest") -> list[str]:
        """Lease and commit until nothing is left; what was handed out."""
        names = list[str]()
        while True:
            leases = await self.lease(limit, start=start)
            if not any(leases.parts):
                return names
            names += names_in(leases)
            assert await self.commit(leases) == {"committed"}


def names_in(leases: Leases) -> list[str]:
    """List the signatures of a lease, partition by partition."""
    return [name for part in leases.parts if part for name in signatures_of(part.extract)]


def missed_in(leases: Leases) -> list[int | None]:
    """List how many each part of a lease missed."""
    return [part.extract.missed for part in leases.parts if part]
