"""One write for a response that uvicorn makes two of: each wakes the client, and costs a system call."""

import asyncio


class JoinedWrites:
    """The transport of one response to a request, with a body: its head waits for that."""

    __slots__ = ("_head", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head: bytes | None = None

    def write(self, data: bytes) -> None:
        """Write; the first of all goes with the second."""
        if self._head is None:
            self._head = data
            return
        self._transport.write(self._head + data if self._head else data)
        self._head = b""

    def is_closing(self) -> bool:
        """As that of the connection."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Close the connection, and leave nothing unsent."""
        if self._head:
            self._transport.write(self._head)
            self._head = b""
        self._transport.close()
