"""Gates before a store that they reach through proxies, to be killed and cut off from it while they work."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Self

import redis

from tests.support.gate import GateProcess, await_gate, start_gate
from tests.support.processes import free_port, wait_until
from tests.support.proxy import Proxy
from tests.support.servers import StoreServer

PAUSE_SECONDS = 0.02
PATIENCE_SECONDS = 60.0


@asynccontextmanager
async def proxied(server: StoreServer) -> AsyncIterator[list[Proxy]]:
    """Stand a proxy before each node; the nodes of a Cluster tell its address as their own meanwhile."""
    async with AsyncExitStack() as stack:
        proxies = [Proxy(_port_of(launch.url), number) for number, launch in enumerate(server.launches)]
        for proxy in proxies:
            await stack.enter_async_context(proxy.running())
        await asyncio.to_thread(_announce, server, [int(proxy.port) for proxy in proxies])
        try:
            yield proxies
        finally:
            await asyncio.to_thread(_announce, server, [0] * len(proxies))


class ProxiedGates:
    """Gates with the same settings, each at its own port for as long as the stage stands."""

    def __init__(
        self,
        server: StoreServer,
        folder: Path,
        count: int,
        start: Callable[..., GateProcess] = start_gate,
        /,
        **settings: object,
    ) -> None:
        self._server, self._folder, self._settings, self._start_gate = server, folder, settings, start
        self._proxies: list[Proxy] = []
        self._ports = [free_port() for _ in range(count)]
        self._gates: list[GateProcess] = []
        self._victims = 0
        self.urls = [f"http://127.0.0.1:{port}" for port in self._ports]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Start the proxies and the gates, and stop them at the end."""
        async with proxied(self._server) as self._proxies:
            try:
                for place in range(len(self._ports)):
                    self._gates.append(self._start(place))
                await asyncio.to_thread(self._await_all)
                yield self
            finally:
                for gate in self._gates:
                    gate.kill()

    async def kill(self) -> None:
        """Kill one gate after the other, and start it anew."""
        place, self._victims = self._victims % len(self._gates), self._victims + 1
        self._gates[place].kill()
        self._gates[place] = self._start(place)
        await asyncio.to_thread(await_gate, self._gates[place])

    async def cut(self, part: bytes) -> None:
        """Lose the answer to a command with these bytes, and then every connection to the node it went to."""
        before = [proxy.cuts for proxy in self._proxies]
        for proxy in self._proxies:
            proxy.cut_answers_to = part
        while not (cut := [p for p, cuts in zip(self._proxies, before, strict=True) if p.cuts > cuts]):
            await asyncio.sleep(PAUSE_SECONDS)
        for proxy in self._proxies:
            proxy.cut_answers_to = None
            proxy.commands.clear()
        for proxy in cut:
            proxy.cut_all()

    def have_sent(self, part: bytes) -> bool:
        """Whether these bytes stood in a command to the store."""
        return any(part in command for proxy in self._proxies for command in proxy.commands)

    def _start(self, place: int) -> GateProcess:
        url = f"{self._proxies[0].url}/0"
        return self._start_gate(self._folder, port=self._ports[place], store_url=url, **self._settings)

    def _await_all(self) -> None:
        for gate in self._gates:
            await_gate(gate)


def _announce(server: StoreServer, ports: list[int]) -> None:
    """Let each node of a Cluster tell this port as its own; on return, all of them tell it of one another."""
    if not server.clustered:
        return
    with ExitStack() as stack:
        nodes = [stack.enter_context(node) for node in server.nodes()]
        for node, port in zip(nodes, ports, strict=True):
            node.config_set("cluster-announce-port", port)
        told = {port or _port_of(launch.url) for port, launch in zip(ports, server.launches, strict=True)}
        assert wait_until(lambda: all(_ports_told_by(node) == told for node in nodes), PATIENCE_SECONDS)


def _ports_told_by(node: redis.Redis) -> set[int]:
    return {_port_of(address) for address in node.cluster("NODES")}


def _port_of(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])
