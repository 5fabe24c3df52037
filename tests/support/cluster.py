"""Turn empty cluster-enabled stores into one cluster."""

from collections.abc import Sequence
from contextlib import ExitStack

import redis

from tests.support.processes import StoreStartError, wait_until

CLUSTER_SECONDS = 60.0
SLOTS = 16_384


def form_cluster(nodes: Sequence[redis.Redis]) -> None:
    """Share the slots out evenly, introduce the nodes to each other, wait until all agree."""
    for number, node in enumerate(nodes):
        first, end = (SLOTS * edge // len(nodes) for edge in (number, number + 1))
        node.cluster("set-config-epoch", number + 1)
        node.cluster("addslotsrange", first, end - 1)
        for other in nodes[:number]:
            ports = [other.config_get(name)[name] for name in ("port", "cluster-port")]
            node.cluster("meet", "127.0.0.1", *ports)
    await_cluster(nodes)


def await_cluster(nodes: Sequence[redis.Redis]) -> None:
    """Wait until every node knows all others and serves; the clients are closed afterwards."""
    with ExitStack() as open_clients:
        for node in nodes:
            open_clients.enter_context(node)
        count = len(nodes)
        if not wait_until(lambda: all(_sees_all(node, count) for node in nodes), CLUSTER_SECONDS):
            views = [node.cluster("info") for node in nodes]
            raise StoreStartError(f"no whole cluster within {CLUSTER_SECONDS:.0f} s: {views}")


def _sees_all(node: redis.Redis, count: int) -> bool:
    info = node.cluster("info")
    return bool(info["cluster_state"] == "ok" and info["cluster_known_nodes"] == str(count))
