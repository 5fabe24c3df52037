"""The names of uvicorn that the gate uses, in one place: it documents few of them, and may change the others.

`pyproject.toml` bounds the version of uvicorn for that reason; a test finds out whether the names are there.
"""

from typing import Final

PROTOCOL_ARGUMENTS: Final = ("config", "server_state", "app_state", "_loop")
"""Keywords with which the server calls the class given as `Config(http=...)` for each connection."""

PROTOCOL_METHODS: Final = ("shutdown",)
"""What the server calls of a connection, beside what `asyncio.Protocol` has."""

CONFIG: Final = ("loaded", "load", "loaded_app", "timeout_keep_alive")
"""Attributes of `uvicorn.Config` that a connection uses."""

SERVER_STATE: Final = ("connections", "tasks", "default_headers", "total_requests")
"""Attributes of `Server.server_state` that connections use, and that the server looks at."""

SERVER: Final = ("startup", "shutdown", "capture_signals", "handle_exit", "serve", "run")
"""Methods of `uvicorn.Server` that the gate's servers override or call."""

SERVER_ATTRIBUTES: Final = ("server_state", "started", "should_exit")
"""Attributes of a `uvicorn.Server` that the gate reads or sets."""
