"""What the gate uses of uvicorn beyond its documentation is there, and its version is bounded."""

import asyncio
import inspect
import re
import tomllib
from contextlib import suppress
from typing import Any

import uvicorn

from app.server import uvicorn_names
from app.server.protocol import BoundedProtocol
from tests.support.http_service import served
from tests.support.pages import ROOT
from tests.unit.server.test_protocol import GET, PATIENT


async def _app(scope: Any, receive: Any, send: Any) -> None:
    """Answers nothing."""


def test_config_and_server_have_the_names() -> None:
    config = uvicorn.Config(_app)
    server = uvicorn.Server(config)
    for place, names in (
        (config, uvicorn_names.CONFIG[:2]),
        (server, uvicorn_names.SERVER + uvicorn_names.SERVER_ATTRIBUTES),
        (server.server_state, uvicorn_names.SERVER_STATE),
    ):
        assert [name for name in names if not hasattr(place, name)] == []
    config.load()
    assert [name for name in uvicorn_names.CONFIG if not hasattr(config, name)] == []


async def test_the_server_calls_the_protocol_by_these_keywords_and_ends_it_by_this_method() -> None:
    called: list[tuple[str, ...]] = []

    class Recording(asyncio.Protocol):
        def __init__(self, **arguments: object) -> None:
            called.append(tuple(arguments))
            arguments["server_state"].connections.add(self)  # type: ignore[attr-defined]  # it has this

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def connection_lost(self, _: Exception | None) -> None:
            called.append(("connection_lost",))

        def __getattr__(self, name: str) -> Any:
            called.append((name,))
            raise AttributeError(name)

    config = uvicorn.Config(_app, port=0, lifespan="off", log_config=None, http=Recording)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    port = server.servers[0].sockets[0].getsockname()[1]
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(60):
        while not called:
            await asyncio.sleep(0.005)
    assert called == [uvicorn_names.PROTOCOL_ARGUMENTS]
    for connection in list(server.server_state.connections):
        with suppress(AttributeError):
            connection.shutdown()
        connection.transport.abort()
    assert called[1:] == [(name,) for name in uvicorn_names.PROTOCOL_METHODS]
    writer.close()
    server.servers[0].close()


def test_the_protocol_takes_them_and_has_that() -> None:
    parameters = tuple(inspect.signature(BoundedProtocol).parameters)
    assert parameters == uvicorn_names.PROTOCOL_ARGUMENTS
    assert all(hasattr(BoundedProtocol, name) for name in uvicorn_names.PROTOCOL_METHODS)


async def test_the_server_keeps_the_date_and_counts() -> None:
    async with served(PATIENT) as (service, client):
        await client.send(GET)
        _, headers, _ = await client.answer()
        assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", headers["date"])
        assert service.server.server_state.total_requests == 1


def test_versions_are_bounded_of_what_is_used_beyond_its_documentation() -> None:
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    for name in ("uvicorn", "httptools"):
        [line] = [line for line in needed if re.match(rf"{name}\b", line)]
        assert "<" in line, line
