"""Finds out what has become of a client while its connection is not read, and so nobody is told."""

import asyncio
import socket
from contextlib import suppress
from enum import Enum
from typing import Final

# The first byte of what the kernel tells of a connection is its state; Linux tells it.
_INFO: Final = getattr(socket, "TCP_INFO", None)


class ClientSide(Enum):
    """The client's side of a connection."""

    OPEN = "open"
    ENDED = "ended"
    """The client sends no more: it waits for its answer, or has closed, which looks the same."""
    RESET = "reset"
    """The client has gone: the kernel has reset the connection, as it does for a client that was killed."""


_STATES: Final = {7: ClientSide.RESET, 8: ClientSide.ENDED}
"""TCP_CLOSE and TCP_CLOSE_WAIT."""


def client_side(transport: asyncio.BaseTransport) -> ClientSide:
    """Return what the kernel knows of the client's side; OPEN where it does not tell."""
    connection = transport.get_extra_info("socket")
    if connection is not None and _INFO is not None:
        with suppress(OSError, ValueError):  # it is closed here as well, or is no TCP
            return _STATES.get(connection.getsockopt(socket.IPPROTO_TCP, _INFO, 1)[0], ClientSide.OPEN)
    return ClientSide.OPEN
