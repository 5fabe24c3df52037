"""Networks between a gate and its store, as proxies make them: far, sliced, or breaking connections."""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.support.proxy import Breakage, Proxy

JITTER = 0.5


@dataclass(frozen=True)
class Network:
    """What a network does with the bytes of a connection, and how long calls may take through it."""

    way_seconds: float = 0.0
    """How long bytes are on their way in each direction, half more or less by chance."""
    slices: bool = False
    """Whether each byte comes by itself."""
    breakage: Breakage | None = None
    breaks_after_bytes: int = 0
    deadline_seconds: float = 0.5
    """A deadline for calls to the store that lets some be answered in time."""

    def begin(self, proxies: Iterable[Proxy]) -> None:
        """Have the proxies be like this, for connections that are opened from now on."""
        for proxy in proxies:
            proxy.way_seconds, proxy.jitter, proxy.slices = self.way_seconds, JITTER, self.slices
            proxy.breakage, proxy.breaks_after_bytes = self.breakage, self.breaks_after_bytes
            proxy.cut_all()


CALM = Network()
NETWORKS = {
    "5 ms each way": Network(0.005),
    "50 ms each way": Network(0.05, deadline_seconds=1),
    "200 ms each way": Network(0.2, deadline_seconds=1),
    "500 ms each way": Network(0.5, deadline_seconds=4),
    "byte by byte": Network(slices=True, deadline_seconds=2),
    "reset every 40,000 bytes": Network(breakage=Breakage.RESET, breaks_after_bytes=40_000),
    "swallows answers": Network(breakage=Breakage.SWALLOWED, breaks_after_bytes=40_000),
    "half-open": Network(breakage=Breakage.HALF_OPEN, breaks_after_bytes=40_000),
}
