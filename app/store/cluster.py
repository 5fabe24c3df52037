"""A Cluster as the store: each call goes to the master of its key's slot, wherever that moves."""

import asyncio
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from functools import cache, partial
from typing import Any, NamedTuple

from app.errors import StoreClusterDown, StoreUnsupported
from app.process.shared_task import SharedTask
from app.store.address import StoreAddress
from app.store.awaited_slots import REFUSED_SECONDS, AwaitedSlots
from app.store.down_partitions import settled
from app.store.first_answer import first_answer
from app.store.partitions import key_slot
from app.store.reconnecting_node import Node
from app.store.shared_connection import Argument, Link, NotConnected, ReplyError
from app.store.store_errors import StoreSlotMoving

# A failover takes one or two, and so does a slot that moves; two nodes may each name the other for a moment.
MOST_REDIRECTS = 4
_ELSEWHERE = "access a non local key"  # ERR Script attempted to access a non local key in a cluster node
_UNKNOWN_HOSTS = (None, b"", b"?")


class _Range(NamedTuple):
    first: int
    last: int
    masters_then_replicas: tuple[StoreAddress, ...]

    @property
    def master(self) -> StoreAddress:
        return self.masters_then_replicas[0]


class Cluster:
    """Knows the master of each slot, and follows it where it goes.

    A call on `tidegate:{1.3}` is one on the slot 4428, say, which the map of the slots gives to
    10.0.0.1:6379. Three answers say that this is no longer so:

    - `MOVED 4428 10.0.0.2:6379`: the slot has gone there, and nothing was carried out. The call follows at
      once, and the map is read anew behind it, since a failover moves all slots of a master.
    - `ASK 4428 10.0.0.2:6379`: the slot is going there, and the ledger, the one key that a script call
      declares, has gone already.
    - `ERR … non local key …`: the ledger is still here, and another key that the script came to is not. What
      it did before can be done again (lua/claim.lua).

    After the last two, the call is made again a little later, until it is answered or the slot has arrived.
    It does not follow `ASK`: of the keys that the script makes up, the new node would take those that are
    still on the old one for missing, accept what they have a second time, and make keys that stand in their
    way. A slot is a partition, which can be used only as a whole.

    A master that cannot be reached may have been replaced: the map is read anew, from whichever node gives it
    first, and the call goes to the new master, if there is one.

    For a moment a slot may have no master at all. A graceful failover is told from node to node: one that has
    heard that the old master is a replica now, and not yet who has taken its slots over, leaves them out of
    its map, and answers `CLUSTERDOWN` to calls for its own. Nothing was carried out then, so a call waits and
    is made again, with the map read anew.
    """

    def __init__(self, seed: Node, deadline_seconds: float) -> None:
        """Find the others through a node that is known."""
        self._seed = seed.address
        self._deadline_seconds = deadline_seconds
        self._nodes: dict[StoreAddress, Node] = {self._seed: seed}
        self._ranges: list[_Range] = []
        self._moved: dict[int, StoreAddress] = {}
        self._moving = AwaitedSlots(deadline_seconds)
        self._unserved = AwaitedSlots(deadline_seconds)
        self._reading = SharedTask(self._read)

    @property
    def masters(self) -> int:
        """How many masters serve slots, as the map of the slots has them."""
        return len({found.master for found in self._ranges})

    async def call(self, key: str, *command: Argument, carriers: set[Link] | None = None) -> Any:
        """Send a command to the master of the key's slot.

        Raises:
            StoreSlotMoving: somebody moves the slot, and that takes longer than the call may.
            StoreClusterDown: nobody serves it for as long.
            Exception: see `Servers.call`; its note is the host and port of the master.
        """
        slot = _slot_of(key)
        if self._moving.is_given_up(slot):
            raise StoreSlotMoving(f"slot {slot} is being moved, as it was {REFUSED_SECONDS:g} s ago")
        address, is_replaced, redirects = await self._serving(slot), False, 0
        try:
            while True:
                try:
                    return await self._node(address).call(*command, carriers=carriers)
                except NotConnected:
                    if is_replaced or not await self._is_replaced(address, slot):
                        raise
                    address, is_replaced = await self._serving(slot), True
                except ReplyError as refusal:
                    redirects += str(refusal).startswith("MOVED ")
                    address = await self._next_after(refusal, slot, address, redirects)
        except Exception as error:
            error.add_note(address.shown_place)
            raise

    async def call_each(self, *command: Argument) -> dict[str, Any]:
        """Send a command to every master, as the map of the slots has them; return what each answers.

        Instead of the answer of one that fails stands its error.

        Raises:
            Exception: none answered; what the first one did.
        """
        masters = list(dict.fromkeys(found.master for found in self._ranges))
        outcomes = await settled(self._node(address).call(*command) for address in masters)
        first = next(iter(outcomes), None)
        if isinstance(first, Exception) and all(isinstance(outcome, Exception) for outcome in outcomes):
            raise first
        return {address.shown_place: found for address, found in zip(masters, outcomes, strict=True)}

    async def connect(self, patience_seconds: float) -> None:
        """Connect to every master, for so long at most; one that fails is met by the calls to it."""
        masters = {found.master for found in self._ranges}
        openings = (self._node(master).connect() for master in masters)
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_seconds):
                await asyncio.gather(*openings, return_exceptions=True)

    def places(self) -> list[StoreAddress]:
        """Every node that is known, masters first."""
        replicas = (place for found in self._ranges for place in found.masters_then_replicas[1:])
        return list(dict.fromkeys([*(found.master for found in self._ranges), *replicas]))

    async def close(self) -> None:
        """Close every connection, and let the event loop carry it out."""
        self._reading.cancel()
        for node in self._nodes.values():
            node.close()
        await asyncio.gather(*(node.wait_closed() for node in self._nodes.values()))

    async def read_slots(self) -> None:
        """Read the map of the slots from the first node that gives it; callers at a time share one reading.

        It takes no longer than a call may.

        Raises:
            NotConnected, AnswerLost, TimeoutError, ReplyError: no node gave it; what the last one did.
            StoreUnsupported: it is none.
        """
        await self._reading.result()

    async def _read(self) -> None:
        """Take the map of the node that gives it first; those that are connected are asked before others."""
        places = dict.fromkeys([*self.places(), self._seed])
        likely_first = sorted(places, key=lambda place: not self._node(place).is_connected)
        asks = [partial(self._map_of, place) for place in likely_first]
        self._ranges, self._moved = await first_answer(asks, self._deadline_seconds), {}
        self._forget_others()

    async def _map_of(self, place: StoreAddress) -> list[_Range]:
        try:
            ranges = _ranges(await self._node(place).call("CLUSTER", "SLOTS"), place)
        except ReplyError as refusal:
            refusal.add_note(place.shown_place)
            raise
        if not ranges:  # it was taken out of the cluster, and knows nothing of the others any more
            raise StoreClusterDown(f"{place.host}:{place.port} knows of no node that serves a slot")
        return ranges

    def _forget_others(self) -> None:
        """Give up the connections to nodes that are gone; calls under way on them are let come to their end.

        One may have been sent there by `MOVED`: a node that gets its first slot is not yet in the
        map that the others give.
        """
        known = {*self.places(), self._seed}
        for address in [address for address in self._nodes if address not in known]:
            self._nodes.pop(address).retire()

    async def _is_replaced(self, address: StoreAddress, slot: int) -> bool:
        """Read the map anew, and say whether it has another master for the slot by now."""
        with suppress(Exception):
            await self._reading.result()
        return self._master(slot) != address

    async def _next_after(
        self, refusal: ReplyError, slot: int, asked: StoreAddress, redirects: int
    ) -> StoreAddress:
        """Wait until another try is due, and return the node to ask; raises why the call has failed."""
        kind, _, place = str(refusal).partition(" ")
        if kind == "CLUSTERDOWN":
            await self._wait_for_master(slot, refusal)
            return await self._serving(slot)
        if kind == "MOVED":
            asked = self._moved[slot] = _redirected(place, asked)
            self._reading.begin()  # should it fail, the map stays, and `MOVED` is followed anyway
            if redirects <= MOST_REDIRECTS:
                return asked
        elif not _tells_of_a_move(str(refusal)):
            raise refusal
        if not await self._moving.may_try_again(slot):
            raise StoreSlotMoving(f"slot {slot} is being moved: {refusal}") from refusal
        return asked

    async def _wait_for_master(self, slot: int, refusal: Exception) -> None:
        """Wait a little, and read the map anew; raises the refusal where that goes on for too long."""
        if not await self._unserved.may_try_again(slot):
            raise refusal
        with suppress(Exception):
            await self._reading.result()

    async def _serving(self, slot: int) -> StoreAddress:
        """Return the master of a slot; where the map has none, wait for it."""
        while (address := self._master(slot)) is None:
            await self._wait_for_master(slot, StoreClusterDown(f"no master serves slot {slot}"))
        return address

    def _master(self, slot: int) -> StoreAddress | None:
        if slot in self._moved:
            return self._moved[slot]
        at = bisect_right(self._ranges, slot, key=lambda found: found.first) - 1
        if at < 0 or self._ranges[at].last < slot:
            return None
        return self._ranges[at].master

    def _node(self, address: StoreAddress) -> Node:
        if address not in self._nodes:
            self._nodes[address] = Node(address, self._deadline_seconds)
        return self._nodes[address]


@cache
def _slot_of(prefix: str) -> int:
    """Return the slot of a partition; a gate has few, by their prefixes, so each is computed once."""
    return key_slot(prefix.encode())


def _tells_of_a_move(refusal: str) -> bool:
    """Say whether a call was refused since some keys of its slot are on another node by now."""
    return refusal.startswith(("ASK ", "TRYAGAIN")) or _ELSEWHERE in refusal


def _redirected(place: str, asked: StoreAddress) -> StoreAddress:
    """Return where `3999 10.0.0.2:6379` points to; without a host, to the host of the node that says so."""
    host, _, port = place.partition(" ")[2].rpartition(":")
    return asked.at(host.strip("[]") if host not in ("", "?") else asked.host, int(port))


def _ranges(reply: Any, asked: StoreAddress) -> list[_Range]:
    """Read the answer to CLUSTER SLOTS: `[[0, 5460, [b"10.0.0.2", 6379, b"id", []], …], …]`, master first.

    Raises:
        StoreUnsupported: it is something else.
    """
    try:
        ranges = [
            _Range(int(first), int(last), tuple(_places(nodes, asked))) for first, last, *nodes in reply
        ]
        return sorted(found for found in ranges if found.masters_then_replicas)
    except (TypeError, ValueError, AttributeError) as error:
        raise StoreUnsupported("it answers CLUSTER SLOTS as no Cluster does") from error


def _places(nodes: list[Any], asked: StoreAddress) -> Iterator[StoreAddress]:
    for host, port, *rest in nodes:
        if host not in _UNKNOWN_HOSTS:
            yield asked.at(host.decode(), int(port))
        elif host == b"?" and (ip := _metadata(rest).get(b"ip")):
            # The cluster prefers host names, and this node was given none.
            yield asked.at(ip.decode(), int(port))
        else:
            # A Cluster of one does not know its own address, and one behind a proxy does not tell it.
            yield asked.at(asked.host or "127.0.0.1", int(port))


def _metadata(rest: list[Any]) -> dict[bytes, bytes]:
    """Read what stands behind a node's id: `[b"ip", b"10.0.0.2"]`, for which RESP3 has a map."""
    found = rest[1] if len(rest) > 1 else []
    return found if isinstance(found, dict) else dict(zip(found[::2], found[1::2], strict=False))
