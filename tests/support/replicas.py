"""A store with a replica behind one address, and a failover to it by the address, as by a load balancer."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass

import redis

from tests.support.processes import wait_until
from tests.support.proxy import Proxy
from tests.support.servers import StoreServer

SYNCED_SECONDS = 30.0


@dataclass
class ReplicatedStore:
    """A master, its replica, and the address of whichever of them serves."""

    master: redis.Redis
    replica: redis.Redis
    address: Proxy
    replica_server: StoreServer
    """The replica, to be killed, frozen and started."""

    @property
    def url(self) -> str:
        """The address for a gate."""
        return f"{self.address.url}/0"

    @property
    def master_url(self) -> str:
        """The master's own address, for a test that keeps the event loop busy."""
        return f"redis://127.0.0.1:{self._port}/0"

    @property
    def _port(self) -> int:
        return int(self.master.connection_pool.connection_kwargs["port"])

    def sync(self) -> None:
        """Wait until the replica has all that the master has acknowledged."""
        assert wait_until(self._is_synced, SYNCED_SECONDS), self.replica.info("replication")

    def stop_replication(self) -> None:
        """Let the replica lag from now on."""
        self.replica.replicaof("NO", "ONE")

    def replicate(self) -> None:
        """Let the replica follow the master, and wait until it does."""
        self.master.config_set("repl-diskless-sync-delay", 0)  # 5 s, for others that may come as well
        self.replica.replicaof("127.0.0.1", str(self._port))
        self.sync()

    def fail_over(self) -> None:
        """Let the replica serve, without what it has not got, and break all connections to the master."""
        self.address.move_to(int(self.replica.connection_pool.connection_kwargs["port"]))

    def _is_synced(self) -> bool:
        [master, replica] = (node.info("replication") for node in (self.master, self.replica))
        is_up = replica.get("master_link_status") == "up"
        return bool(is_up and replica["slave_repl_offset"] == master["master_repl_offset"])


@asynccontextmanager
async def replicated(start: Callable[[], StoreServer]) -> AsyncIterator[ReplicatedStore]:
    """Start two servers of a kind, the second as the replica of the first."""
    with start() as first, start() as second:
        [master], [replica] = first.nodes(), second.nodes()
        with closing(master), closing(replica):
            proxy = Proxy(int(master.connection_pool.connection_kwargs["port"]))
            async with proxy.running():
                store = ReplicatedStore(master, replica, proxy, second)
                store.replicate()
                yield store
