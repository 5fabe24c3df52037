"""The loop under the tests of the store's connections."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop

Loops = dict[str, Callable[[], asyncio.AbstractEventLoop]]

# What they test depends on the transports; these are those of the gate, and of no other test.
_ON_THE_GATES_LOOP = ("test_link.py", "test_nodes.py", "test_broken_connections.py")


def pytest_asyncio_loop_factories(item: pytest.Item) -> Loops:
    """Give the tests of connections the event loop that a gate runs on, and others that of asyncio."""
    if item.path.name in _ON_THE_GATES_LOOP:
        return {"uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}
