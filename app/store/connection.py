"""Connects to the store, and finds out whether it is one server or a Cluster."""

from app.store.address import Address
from app.store.cluster import Cluster, Servers, Single
from app.store.node import Node
from app.store.server import Server, identify

STORE_CONNECTIONS = 8


async def connect(address: Address, deadline_seconds: float) -> tuple[Servers, Server]:
    """Connect, and find out what the server is.

    Raises:
        StoreUnsupported: older than Redis 7.0 or Valkey 8, or no store at all.
        NotConnected, AnswerLost, TimeoutError, ReplyError, hiredis.ProtocolError: see `Node.call`.
    """
    node = Node(address, deadline_seconds)
    try:
        server = await identify(node)
    except BaseException:
        node.close()
        raise
    if not server.is_cluster:
        return Single(node), server
    node.close()
    cluster = Cluster(address, deadline_seconds)
    try:
        await cluster.read_slots()
    except BaseException:
        await cluster.close()
        raise
    return cluster, server
