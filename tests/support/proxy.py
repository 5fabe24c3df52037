"""A TCP proxy before a store, which breaks connections at chosen moments; and servers that are no stores."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum, auto

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


class Breakage(Enum):
    """What becomes of a connection on which as many bytes have passed as may, perhaps amid an answer."""

    RESET = auto()
    """Both sides are reset."""
    SWALLOWED = auto()
    """Commands still get to the store; its answers vanish, and the connection stays open."""
    HALF_OPEN = auto()
    """The store's side is closed; that of the gate stays open, and whatever it sends vanishes."""


@dataclass
class _Passage:
    """A connection through the proxy: its two ends, and when and how it breaks."""

    gate: asyncio.StreamWriter
    store: asyncio.StreamWriter
    breakage: Breakage | None
    left_bytes: int
    """How many bytes may pass on it before it breaks."""
    is_broken: bool = False
    is_cut: bool = False
    """True if the next answer ends it, and is not passed on."""

    def let_pass(self, to: asyncio.StreamWriter, data: bytes) -> bytes:
        """Return what of the data gets to one of the ends."""
        if self.breakage is None:
            return data
        is_spared = self.breakage is Breakage.SWALLOWED and to is self.store
        passed = data if is_spared else data[: max(self.left_bytes, 0)]
        self.left_bytes -= len(data)
        return passed

    def break_if_due(self) -> bool:
        """Break the connection when as many bytes have passed as may, and say whether that was now."""
        if self.breakage is None or self.is_broken or self.left_bytes > 0:
            return False
        self.is_broken = True
        if self.breakage is Breakage.HALF_OPEN:
            self.store.close()
        elif self.breakage is Breakage.RESET:
            self.gate.transport.abort()
            self.store.transport.abort()
        return True


class Proxy:
    """Passes a store's bytes on; it can cut, slice, delay, hold back and swallow them, TLS included.

    `cut_answers_to` breaks a connection instead of passing on the next answer after a command with these
    bytes. The store has carried the command out then, which nobody behind the proxy can know. With
    `refuses_after_cut` the proxy closes each connection that comes after that at once.
    """

    def __init__(self, port: int, seed: int = 1) -> None:
        self._port = port
        self._draw = random.Random(f"{seed} breaks")
        self.url = ""
        self.cut_answers_to: bytes | None = None
        self.refuses_after_cut = False
        self.slices = False
        """Whether each byte is sent by itself, in both directions."""
        self.way_seconds = 0.0
        """How long each read is on its way, in either direction: how far away the store seems to be."""
        self.jitter = 0.0
        """How much longer or shorter a way may be by chance, as a part of it."""
        self.breakage: Breakage | None = None
        """How each connection breaks that is opened from now on."""
        self.breaks_after_bytes = 0
        """How many bytes pass on such a connection on average, commands and answers together."""
        self.swallows_answers = False
        """Whether answers vanish; the connection stays open."""
        self.cuts = 0
        self.connections = 0
        self.open_connections = 0
        self.broken_connections = 0
        """How many have broken by `breakage`."""
        self.commands: list[bytes] = []
        self.held = bytearray()
        """The answers that are held back, of all connections."""
        self._is_holding = False
        self._reads = asyncio.Event()
        self._reads.set()
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def port(self) -> str:
        """The port it listens at."""
        return self.url.rpartition(":")[2]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen, in front of the store."""
        async with tcp_server(self._handle) as url:
            self.url = url
            yield

    def move_to(self, port: int) -> None:
        """Pass all to the store at another port from now on, and break what connections there are."""
        self._port = port
        self.cut_all()

    def hold_answers(self) -> None:
        """Keep answers back from now on, until `pass_on`."""
        self._is_holding = True

    def pass_on(self, count: int | None = None) -> None:
        """Send so many bytes of what is held to the connection opened last; None: all, and hold no more."""
        sent = len(self.held) if count is None else count
        if not self._writers[-1].is_closing():
            self._writers[-1].write(bytes(self.held[:sent]))
        del self.held[:sent]
        self._is_holding = count is not None

    def cut(self) -> None:
        """Break the connection opened last; what is held of its answers is lost, and no more is held."""
        self.held.clear()
        self._is_holding = False
        self._writers[-1].transport.abort()

    def cut_all(self) -> None:
        """Break every connection there is."""
        for writer in self._writers:
            writer.transport.abort()

    def stop_reading(self) -> None:
        """Take no more commands, so that they pile up where they are sent."""
        self._reads.clear()

    def read_on(self) -> None:
        """Take commands again."""
        self._reads.set()

    async def has_held(self, count: int) -> None:
        """Wait until so many bytes of answers are held."""
        while len(self.held) < count:
            await asyncio.sleep(0.005)

    async def none_open(self) -> None:
        """Wait until every connection is closed."""
        while self.open_connections:
            await asyncio.sleep(0.005)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.refuses_after_cut and self.cuts:
            return
        store, to_store = await asyncio.open_connection("127.0.0.1", self._port)
        self.open_connections += 1
        self._writers.append(writer)
        most_bytes = self._draw.randint(1, 2 * self.breaks_after_bytes) if self.breakage else 0
        passage = _Passage(writer, to_store, self.breakage, most_bytes)
        answers = asyncio.create_task(self._pass_answers(store, passage))
        try:
            while command := await reader.read(1 << 20):
                self.commands.append(command)
                if self.cut_answers_to is not None and self.cut_answers_to in command:
                    self.cut_answers_to = None
                    passage.is_cut = True
                await self._send(passage, to_store, command)
                await self._reads.wait()
        finally:
            self.open_connections -= 1
            answers.cancel()
            to_store.close()

    async def _pass_answers(self, store: asyncio.StreamReader, passage: _Passage) -> None:
        with suppress(ConnectionError):
            while answer := await store.read(1 << 20):
                if passage.is_cut:
                    self.cuts += 1
                    break
                if self._is_holding:
                    self.held += answer
                elif not self.swallows_answers:
                    await self._send(passage, passage.gate, answer)
        if not (passage.is_broken and passage.breakage is Breakage.HALF_OPEN):
            passage.gate.close()

    async def _send(self, passage: _Passage, to: asyncio.StreamWriter, data: bytes) -> None:
        if self.way_seconds:
            await asyncio.sleep(self.way_seconds * self._draw.uniform(1 - self.jitter, 1 + self.jitter))
        data = passage.let_pass(to, data)
        if not data:
            return
        for at in range(len(data)) if self.slices else ():
            if to.is_closing():
                return
            to.write(data[at : at + 1])
            await asyncio.sleep(0)  # whoever reads has its turn
        if not self.slices:
            to.write(data)
        await to.drain()
        self.broken_connections += passage.break_if_due()
