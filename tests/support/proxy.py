"""A TCP proxy before a store, which breaks connections at chosen moments; and servers that are no stores."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def tcp_server(handle: Handler) -> AsyncIterator[str]:
    """Serve connections; yields the address as a store's URL. What still runs in the end is cancelled."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await handle(reader, writer)
        writer.close()
        tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


class Proxy:
    """Passes a store's bytes on; `cut_answers_to` breaks a connection instead of passing the next answer on.

    The store has carried the command out then, which nobody behind the proxy can know. With
    `refuses_after_cut` the proxy closes each connection that comes after that at once.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self.url = ""
        self.cut_answers_to: bytes | None = None
        self.refuses_after_cut = False
        self.cuts = 0
        self.connections = 0
        self.commands: list[bytes] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen, in front of the store."""
        async with tcp_server(self._handle) as url:
            self.url = url
            yield

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.refuses_after_cut and self.cuts:
            return
        store, to_store = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            while command := await reader.read(1 << 20):
                self.commands.append(command)
                to_store.write(command)
                answer = await store.read(1 << 20)
                if self.cut_answers_to is not None and self.cut_answers_to in command:
                    self.cut_answers_to = None
                    self.cuts += 1
                    return
                writer.write(answer)
        finally:
            to_store.close()
