"""A server whose host drops packets: who connects to it hears nothing, neither yes nor no."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

BACKLOG_FILLS = 4
PATIENCE_SECONDS = 10.0


@contextmanager
def blackhole(port: int = 0) -> Iterator[int]:
    """Listen on a port of 127.0.0.1, never accept, and have the queue full: Linux drops what comes then.

    Yields the port.
    """
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(0)
        place = listener.getsockname()
        stack.enter_context(socket.create_connection(place, PATIENCE_SECONDS))
        for _ in range(BACKLOG_FILLS):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(place)
        yield int(place[1])
