"""The kinds of stdout that tell when their reader has read: a pipe, and a socket, which Node calls a pipe."""

import os
import socket
from collections.abc import Callable

import pytest


def _socket_pair() -> tuple[int, int]:
    reading, writing = socket.socketpair()
    return reading.detach(), writing.detach()


Open = Callable[[], tuple[int, int]]
"""Opens one; returns the descriptors to read and to write."""
BOTH = pytest.mark.parametrize("opened", [os.pipe, _socket_pair], ids=["pipe", "socket"])
