"""Turn empty cluster-enabled stores into one cluster."""

from collections.abc import Sequence
from contextlib import ExitStack

import redis

from tests.support.processes import StoreStartError, wait_until

CLUSTER_SECONDS = 60.0
SYNCED_SECONDS, VOTE_SECONDS = 20.0, 12.0
SLOTS = 16_384


def form_cluster(nodes: Sequence[redis.Redis], masters: int) -> None:
    """Share the slots out evenly over the first nodes, introduce all to each other, wait until they agree.

    The others become replicas, of the first master, the second, and so on.
    """
    for number, node in enumerate(nodes):
        node.cluster("set-config-epoch", number + 1)
        if number < masters:
            first, end = (SLOTS * edge // masters for edge in (number, number + 1))
            node.cluster("addslotsrange", first, end - 1)
        for other in nodes[:number]:
            port = other.connection_pool.connection_kwargs["port"]  # by TLS, where that is spoken
            node.cluster("meet", "127.0.0.1", port, other.config_get("cluster-port")["cluster-port"])
    await_cluster(nodes)
    for number, node in enumerate(nodes[masters:]):
        node.cluster("replicate", nodes[number % masters].cluster("myid"))
    if not wait_until(lambda: all(map(_follows, nodes[masters:])), CLUSTER_SECONDS):
        raise StoreStartError(f"a replica does not follow its master within {CLUSTER_SECONDS:.0f} s")


def await_cluster(nodes: Sequence[redis.Redis]) -> None:
    """Wait until every node knows all others and serves; the clients are closed afterwards."""
    with ExitStack() as open_clients:
        for node in nodes:
            open_clients.enter_context(node)
        count = len(nodes)
        if not wait_until(lambda: all(_sees_all(node, count) for node in nodes), CLUSTER_SECONDS):
            views = [node.cluster("info") for node in nodes]
            raise StoreStartError(f"no whole cluster within {CLUSTER_SECONDS:.0f} s: {views}")


def fail_over(shard: Sequence[redis.Redis]) -> None:
    """Make the replica of a shard its master, gracefully; asked again, should the others not vote yet.

    Over once the old master is its replica, so that one of the shard can be asked to take over again at once.
    """
    replica = next(node for node in shard if _role(node) == "slave")
    old = next(node for node in shard if _role(node) == "master")
    assert wait_until(lambda: _follows(replica), SYNCED_SECONDS)
    for _ in range(4):
        replica.cluster("failover")
        if wait_until(lambda: _role(replica) == "master", VOTE_SECONDS):
            assert wait_until(lambda: _role(old) == "slave", SYNCED_SECONDS)
            return
    raise AssertionError("it did not become the master")


def masters_among(nodes: Sequence[redis.Redis]) -> list[redis.Redis]:
    """Keep the nodes that are masters now, and close the others, which answer MOVED for any key."""
    masters = [node for node in nodes if _role(node) == "master"]
    for node in nodes:
        if node not in masters:
            node.close()
    return masters


def _role(node: redis.Redis) -> str:
    return str(node.info("replication")["role"])


def _sees_all(node: redis.Redis, count: int) -> bool:
    # One that need not serve all slots calls its state ok before it knows whose all of them are.
    info = node.cluster("info")
    is_whole = info["cluster_slots_assigned"] == str(SLOTS) and info["cluster_known_nodes"] == str(count)
    return bool(is_whole and info["cluster_state"] == "ok")


def _follows(node: redis.Redis) -> bool:
    with node:
        return bool(node.info("replication").get("master_link_status") == "up")
