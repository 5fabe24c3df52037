"""Connects to the store that a URL names: one server, a Cluster, or the primary of what sentinels watch."""

import asyncio
from dataclasses import replace
from time import monotonic

from app.store.address import StoreAddress, connect_seconds
from app.store.cluster import Cluster
from app.store.partition_count import partition_count
from app.store.partitions import first_prefix, ledger_key
from app.store.reconnecting_node import Node, Single
from app.store.sentinel_primary import OPENINGS, Primary, find_primary
from app.store.sentinels import Sentinels
from app.store.server_identity import Server, identify
from app.store.store_errors import StoreWrongScheme
from app.store.store_url import SentinelService, parse_store, safe_url

# One after another, each of which may meet a master of a Cluster that does not answer: to be connected to it,
# and to ask it for the number of partitions, whether it has six, and to leave the mark there.
_CALLS = 4


class StoreConnector:
    """Opens the store, at the URL's place or at those that are known from there: the nodes of a Cluster.

    Of a service that sentinels watch it keeps the connections to these from one primary to the next.
    """

    def __init__(self, url: str, deadline_seconds: float, prefix: str = "tidegate") -> None:
        """Open the store of a URL; `prefix` is the first part of the keys."""
        self.shown_url = safe_url(url)
        self.deadline_seconds = deadline_seconds
        found = parse_store(url)
        self._sentinels = Sentinels(found, deadline_seconds) if isinstance(found, SentinelService) else None
        self._first = [] if isinstance(found, SentinelService) else [found]
        self._places = self._first
        self._prefix = prefix

    async def read_again(self) -> bool:
        """Tell that the URL stays as it is, which stands in no file."""
        return False

    async def connect(self) -> tuple[Single | Cluster | Primary, Server]:
        """Connect, and find out what the server is, within the time for its connections and some calls.

        Raises:
            StoreUnsupported: it is older than Redis 7.0 or Valkey 8, or no store at all.
            StoreNoPrimary: the sentinels vouch for no server.
            StoreWrongScheme: it is a sentinel, or no sentinels are where the URL says so.
            NotConnected, AnswerLost, TimeoutError, ReplyError, hiredis.ProtocolError: see `Servers.call`.
        """
        openings = OPENINGS if self._sentinels is not None else 1
        async with asyncio.timeout(
            openings * connect_seconds(self.deadline_seconds) + _CALLS * self.deadline_seconds
        ):
            if self._sentinels is not None:
                return await find_primary(self._sentinels, ledger_key(first_prefix(self._prefix)))
            return await self._connect_to_one()

    async def close(self) -> None:
        """Close the connections to the sentinels; a store that was connected is closed by itself."""
        if self._sentinels is not None:
            await self._sentinels.close()

    async def _connect_to_one(self) -> tuple[Single | Cluster, Server]:
        try:
            servers, server = await self._connect_to(self._places[0])
        except BaseException:
            # The nodes of a Cluster take turns: the one the URL names may be the one that is gone.
            self._places = [*self._places[1:], self._places[0]]
            raise
        self._places = list(dict.fromkeys([*self._first, *servers.places()]))
        return servers, server

    async def _connect_to(self, place: StoreAddress) -> tuple[Single | Cluster, Server]:
        node, begun = Node(place, self.deadline_seconds), monotonic()
        try:
            await node.connect()
            took_seconds = monotonic() - begun
            server = await identify(node.call)
        except BaseException:
            node.close()
            raise
        if server.mode == "sentinel":
            node.close()
            raise StoreWrongScheme(f"a sentinel answers, of {server.name} {server.version}")
        if not server.is_cluster:
            return Single(node), server
        cluster = Cluster(node, self.deadline_seconds)
        try:
            await cluster.read_slots()
            # A master that does not answer is not waited for: the others serve without it.
            await cluster.connect(max(self.deadline_seconds, 2 * took_seconds))
            partitions = await partition_count(cluster, self._prefix)
        except BaseException:
            await cluster.close()
            raise
        return cluster, replace(server, partitions=partitions)
