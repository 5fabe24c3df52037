"""Sentinels that say what a test has them say, about a real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import NoReturn
from urllib.parse import urlsplit

import pytest

from app.errors import StoreNoPrimary
from app.store.connector import StoreConnector
from app.store.sentinel_primary import Primary
from app.store.store_url import parse_address
from tests.support.proxy import Proxy, tcp_server
from tests.support.servers import StoreServer

SERVICE = "gate"
DEADLINE_SECONDS = 10.0
LONG_MS, NONE_MS = 3_600_000, 0
"""Values of `down-after-milliseconds`: what a majority says holds for long, or for no time at all."""


@dataclass
class ScriptedSentinel:
    """Answers the questions that a gate asks, and counts how often it was asked for the primary."""

    sentinel_id: str
    fields: dict[str, object]
    others: list[tuple[str, int]] = field(default_factory=list)
    """Ids and ports of the other sentinels, as it tells of them."""
    asked: int = 0
    told: int = 0
    """The number of times that it was asked for the others."""
    port: int = 0
    password: str = ""
    """What one has to log in with; empty for nothing."""
    answer_seconds: float = 0.0
    """How long each answer takes: how far away it seems to be."""
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)
    """While this is not set, no answer is sent."""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what is asked on one connection; the next question may come before the answer has gone."""
        is_let_in = not self.password
        async with asyncio.TaskGroup() as answering:
            while line := await reader.readline():
                words = [await _word(reader) for _ in range(int(line[1:]))]
                if words[0].upper() == b"AUTH":
                    is_let_in = words[-1] == self.password.encode()
                denied = b"-NOAUTH Authentication required.\r\n"
                answer = self._answer([word.upper() for word in words]) if is_let_in else denied
                answering.create_task(self._send(writer, answer))

    async def _send(self, writer: asyncio.StreamWriter, answer: bytes) -> None:
        await asyncio.sleep(self.answer_seconds)
        await self.goes_on.wait()
        writer.write(answer)

    def _answer(self, words: list[bytes]) -> bytes:
        match words[:2]:
            case [b"SENTINEL", b"MYID"]:
                return _bulk(self.sentinel_id)
            case [b"SENTINEL", b"MASTER"]:
                self.asked += 1
                if words[2:] != [SERVICE.upper().encode()]:
                    return b"-ERR No such master with that name\r\n"
                return _flat(self.fields)
            case [b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME"]:
                return b"*2\r\n" + _bulk(self.fields["ip"]) + _bulk(self.fields["port"])
            case [b"SENTINEL", b"SENTINELS"]:
                self.told += 1
                told = [_flat({"runid": name, "ip": "127.0.0.1", "port": port}) for name, port in self.others]
                return b"*%d\r\n" % len(told) + b"".join(told)
        return b"+OK\r\n"


@dataclass
class ScriptedSentinels:
    """Three sentinels, which say the same unless a test changes that."""

    all: list[ScriptedSentinel]

    @property
    def url(self) -> str:
        """The store's URL, which names all three."""
        return self.url_of(*range(len(self.all)))

    def url_of(self, *numbers: int) -> str:
        """A store's URL that names only these."""
        places = ",".join(f"127.0.0.1:{self.all[number].port}" for number in numbers)
        return f"redis+sentinel://{places}/{SERVICE}"

    @property
    def asked(self) -> int:
        """The number of times that one of them was asked for the primary."""
        return sum(one.asked for one in self.all)

    def say(self, **fields: object) -> None:
        """Have all sentinels say this from now on."""
        for one in self.all:
            one.fields |= {name.replace("_", "-"): value for name, value in fields.items()}


@asynccontextmanager
async def scripted_sentinels(port: int) -> AsyncIterator[ScriptedSentinels]:
    """Three sentinels, for whom the server at this port is the primary."""
    fields: dict[str, object] = {
        "ip": "127.0.0.1",
        "port": port,
        "runid": "",
        "flags": "master",
        "down-after-milliseconds": LONG_MS,
        "last-ok-ping-reply": 0,
        "config-epoch": 1,
        "num-other-sentinels": 2,
    }
    sentinels = [ScriptedSentinel(f"sentinel-{number}", dict(fields)) for number in range(3)]
    async with AsyncExitStack() as stack:
        for one in sentinels:
            one.goes_on.set()
            one.port = urlsplit(await stack.enter_async_context(tcp_server(one.handle))).port or 0
        for one in sentinels:
            one.others = [(other.sentinel_id, other.port) for other in sentinels if other is not one]
        yield ScriptedSentinels(sentinels)


@asynccontextmanager
async def watched(server: StoreServer) -> AsyncIterator[tuple[ScriptedSentinels, Proxy]]:
    """Sentinels whose primary is the server, as it is reached through a proxy."""
    proxy = Proxy(parse_address(server.url).port)
    async with asyncio.timeout(60), proxy.running(), scripted_sentinels(int(proxy.port)) as sentinels:
        yield sentinels, proxy


@asynccontextmanager
async def connector_of(url: str, deadline_seconds: float = DEADLINE_SECONDS) -> AsyncIterator[StoreConnector]:
    """What connects to the primary that the sentinels of a URL name; it is closed in the end."""
    connector = StoreConnector(url, deadline_seconds)
    yield connector
    await connector.close()


@asynccontextmanager
async def primary_of(url: str) -> AsyncIterator[Primary]:
    """Connect to the primary that the sentinels of a URL name."""
    async with connector_of(url) as connector:
        primary, _ = await connector.connect()
        assert isinstance(primary, Primary)
        yield primary
        await primary.close()


async def refusal_of(url: str) -> str:
    """Fail to connect, and return what is said of it."""
    async with connector_of(url) as connector:
        with pytest.raises(StoreNoPrimary) as caught:
            await connector.connect()
    return str(caught.value)


async def call_on(primary: Primary) -> NoReturn:
    """Call a primary until that fails."""
    while True:
        await primary.call("", "ECHO", "one")


def _flat(fields: dict[str, object]) -> bytes:
    """Encode a reply of names and values one after another."""
    parts = [_bulk(part) for pair in fields.items() for part in pair]
    return b"*%d\r\n" % len(parts) + b"".join(parts)


def _bulk(value: object) -> bytes:
    text = str(value).encode()
    return b"$%d\r\n%s\r\n" % (len(text), text)


async def _word(reader: asyncio.StreamReader) -> bytes:
    return (await reader.readexactly(int((await reader.readline())[1:]) + 2))[:-2]
