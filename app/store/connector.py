"""Connects to the store that a URL names, and finds out whether that is one server or a Cluster."""

import asyncio

from app.store.address import StoreAddress, connect_seconds, parse_address, safe_url
from app.store.cluster import Cluster
from app.store.node import Node, Single
from app.store.server import Server, identify


class StoreConnector:
    """Opens the store, at the URL's place or, of a Cluster, at any other place that is known of it."""

    def __init__(self, url: str, deadline_seconds: float) -> None:
        self.shown_url = safe_url(url)
        self.deadline_seconds = deadline_seconds
        self._first = parse_address(url)
        self._places = [self._first]

    async def connect(self) -> tuple[Single | Cluster, Server]:
        """Connect, and find out what the server is, within the time for a connection and a deadline.

        Raises:
            StoreUnsupported: it is older than Redis 7.0 or Valkey 8, or no store at all.
            NotConnected, AnswerLost, TimeoutError, ReplyError, hiredis.ProtocolError: see `Servers.call`.
        """
        try:
            async with asyncio.timeout(connect_seconds(self.deadline_seconds) + self.deadline_seconds):
                servers, server = await self._connect_to(self._places[0])
        except Exception:
            # The nodes of a Cluster take turns: the one the URL names may be the one that is gone.
            self._places.append(self._places.pop(0))
            raise
        self._places = [self._first, *(place for place in servers.places() if place != self._first)]
        return servers, server

    async def _connect_to(self, place: StoreAddress) -> tuple[Single | Cluster, Server]:
        node = Node(place, self.deadline_seconds)
        try:
            await node.connect()
            server = await identify(node.call)
        except BaseException:
            node.close()
            raise
        if not server.is_cluster:
            return Single(node), server
        cluster = Cluster(node, self.deadline_seconds)
        try:
            await cluster.read_slots()
            await cluster.connect()
        except BaseException:
            await cluster.close()
            raise
        return cluster, server
