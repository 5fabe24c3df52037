"""One server of the store, and the connections that are open to it."""

import asyncio
import math
from typing import Any

import hiredis

from app.store.address import StoreAddress
from app.store.link import AnswerLost, Argument, Link, NotConnected, ReplyError, packed

CLIENT_NAME = "tidegate"
_ASKING = packed(("ASKING",))
# CLIENT SETNAME only names the gate in the server's list of clients; a server may refuse it.
_HARMLESS = ("NOPERM", "ERR unknown")


class Node:
    """Opens as many connections as there are calls at once; the session bounds these.

    A command is never sent twice from here, since nobody knows whether the first one was carried out. What
    may be done again without harm is opening a connection: when one breaks before the caller's command was
    sent on it, another one is opened instead.
    """

    def __init__(self, address: StoreAddress, deadline_seconds: float) -> None:
        self.address = address
        self._deadline_seconds = deadline_seconds
        self._links: set[Link] = set()
        self._idle: list[Link] = []
        self._returned = asyncio.Event()
        self._is_closed = False
        self._is_retired = False

    async def call(self, *command: Argument, is_asking: bool = False) -> Any:
        """Send a command, over a connection that stands or over a new one; it is never sent twice.

        `is_asking` sends `ASKING` in front, which lets a node of a cluster serve a slot it is about to get.

        Raises:
            NotConnected: nothing was sent.
            AnswerLost, TimeoutError: it may have been carried out.
            ReplyError: the server refused it.
            hiredis.ProtocolError: what answers does not speak RESP.
        """
        sent = packed(command)
        link = self._standing() or await self._another()
        try:
            answer = await (link.ask(_ASKING + sent, 2) if is_asking else link.ask(sent))
        except AnswerLost as lost:
            self._discard(link)
            if link.is_fresh and not await self._is_there():
                raise AnswerLost(str(lost), is_gone=True) from lost
            raise
        except BaseException:
            self._discard(link)
            raise
        self._put_back(link)
        for reply in answer:  # ASKING is refused, say: what then came back for the command explains nothing
            if isinstance(reply, ReplyError):
                raise reply
        return answer[-1]

    def retire(self) -> None:
        """Let calls under way come to their end, and keep no connection open after them."""
        self._is_retired = True
        while self._idle:
            link = self._idle.pop()
            self._links.discard(link)
            link.close()

    def close(self) -> None:
        """Close every connection; calls under way fail."""
        self._is_closed = True
        for link in list(self._links):
            link.close()
        self._links.clear()
        self._idle.clear()
        self._returned.set()

    def _put_back(self, link: Link) -> None:
        """Keep a connection for the next call, unless there is to be none."""
        if self._is_closed or self._is_retired:
            self._discard(link)
            link.close()
        else:
            self._idle.append(link)
            self._returned.set()

    def _discard(self, link: Link) -> None:
        self._links.discard(link)
        self._returned.set()

    def _standing(self) -> Link | None:
        """Take the connection used last of those that are still open."""
        now = asyncio.get_running_loop().time()
        while self._idle:
            link = self._idle.pop()
            if link.is_open(now):
                return link
            self._links.discard(link)
        return None

    async def _is_there(self) -> bool:
        """Find out whether the server answers a login, after a new connection broke at its first call."""
        try:
            self._put_back(await self._another())
        except NotConnected:
            return False
        return True

    async def _another(self) -> Link:
        """Open a new connection, or, where the server takes no more of them, wait for the next to come free.

        A server at its `maxclients` refuses new ones, and serves those that stand.
        """
        try:
            return await self._open()
        except NotConnected as refused:
            if isinstance(refused.__cause__, TimeoutError):
                raise
            while (link := self._standing()) is None:
                if not self._links:
                    raise
                self._returned.clear()
                await self._returned.wait()
            return link

    async def _open(self) -> Link:
        """Open a connection; one that breaks at its login, or is closed right after it, is replaced once.

        Nothing of the caller's was sent on it. `CLIENT KILL TYPE normal`, say, closes such a one with all
        others.
        """
        try:
            link = await self._open_once()
            if link.is_open(math.inf):  # asks the kernel: the reply to the login may have lain there for long
                return link
            self._discard(link)
        except NotConnected as broken:
            if not isinstance(broken.__cause__, AnswerLost):
                raise
        return await self._open_once()

    async def _open_once(self) -> Link:
        self._ensure_not_closed()
        link = Link(self._deadline_seconds)
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await self.address.connect(lambda: link, self._deadline_seconds)
                await self._greet(link)
            self._ensure_not_closed()  # while it connected
        except (OSError, ReplyError, hiredis.HiredisError) as error:  # TimeoutError, AnswerLost are OSErrors
            link.close()
            raise NotConnected(str(error) or type(error).__name__) from error
        except BaseException:
            link.close()
            raise
        self._links.add(link)
        return link

    def _ensure_not_closed(self) -> None:
        if self._is_closed:
            raise NotConnected("the connections to this server were closed")

    async def _greet(self, link: Link) -> None:
        commands: list[tuple[Argument, ...]] = [("CLIENT", "SETNAME", CLIENT_NAME)]
        address = self.address
        if address.database:
            commands.insert(0, ("SELECT", address.database))
        if address.password:
            login = (address.user, address.password) if address.user else (address.password,)
            commands.insert(0, ("AUTH", *login))
        replies = await link.ask(b"".join(map(packed, commands)), len(commands))
        link.is_fresh = True
        for command, reply in zip(commands, replies, strict=True):
            is_name = command[0] == "CLIENT"
            if isinstance(reply, ReplyError) and not (is_name and str(reply).startswith(_HARMLESS)):
                raise reply


class Single:
    """A store of one server, which holds every key."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def call(self, _key: str, *command: Argument) -> Any:
        """Send a command to the server; errors are those of `Node.call`."""
        return await self._node.call(*command)

    async def call_each(self, *command: Argument) -> list[Any]:
        """Send a command to the server; errors are those of `Node.call`."""
        return [await self._node.call(*command)]

    def places(self) -> list[StoreAddress]:
        """List the server's address, as a Cluster lists those of its nodes."""
        return [self._node.address]

    async def close(self) -> None:
        """Close every connection, and let the event loop carry it out."""
        self._node.close()
        await asyncio.sleep(0)
