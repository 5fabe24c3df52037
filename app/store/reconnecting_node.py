"""One server of the store, and the connection that is open to it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import hiredis

from app.process.shared_task import SharedTask
from app.store.address import RESP3, StoreAddress, connect_seconds
from app.store.shared_connection import AnswerLost, Argument, Link, NotConnected, NotSent, ReplyError, packed

# CLIENT SETNAME only names the gate in the server's list of clients; a server may refuse it, and Envoy does.
_HARMLESS = ("NOPERM", "ERR unknown", "ERR unsupported", "unsupported command")
# What a login meets at a port that speaks TLS: its end, or bytes of an alert.
_BROKE = (AnswerLost, hiredis.ProtocolError)
_MOST_SENDS = 3  # on the connection that stood, and on two new ones that break before they have the command


class Node:
    """Keeps one connection open to a server, which all calls share, and opens another one when it breaks.

    A command is never sent twice from here, since nobody knows whether the first one was carried out. What
    may be done again without harm is opening a connection: when one breaks before the kernel had all of the
    caller's command, another one is opened instead. Callers that need one at the same time wait for the same
    one.
    """

    def __init__(
        self,
        address: StoreAddress,
        deadline_seconds: float,
        examine: Callable[[Link], Awaitable[None]] | None = None,
    ) -> None:
        """Connect at the first call; `examine` looks at each new connection, and raises to refuse it."""
        self.address = address
        self._deadline_seconds = deadline_seconds
        self._examine = examine
        self._link: Link | None = None
        self._opening = SharedTask(self._open)
        self._is_closed = False
        self._is_retired = False

    @property
    def is_connected(self) -> bool:
        """Whether a connection is open."""
        return self._link is not None and self._link.is_open()

    async def connect(self) -> None:
        """Open the connection if none is, for as long as that may take: longer than a call waits for it.

        Raises:
            NotConnected: it could not be opened.
        """
        if not self.is_connected:
            await self._opened(connect_seconds(self._deadline_seconds))

    async def call(self, *command: Argument, carriers: set[Link] | None = None) -> Any:
        """Send a command, over the connection that stands or over a new one; it is never carried out twice.

        The connection on which it was carried out is added to `carriers`.

        Raises:
            NotConnected: it was not carried out.
            AnswerLost, TimeoutError: it may have been carried out.
            ReplyError: the server refused it.
            hiredis.ProtocolError: what answers does not speak RESP.
        """
        sent = packed(command)
        for _ in range(_MOST_SENDS):
            link = await self._with_room()
            try:
                reply = await self._reply(link, sent)
            except NotSent as refused:
                unsent = refused
                continue
            if isinstance(reply, ReplyError):
                raise reply
            if carriers is not None:
                carriers.add(link)
            return reply
        raise NotConnected(str(unsent)) from unsent

    def retire(self) -> None:
        """Let calls under way come to their end, and keep no connection open after them."""
        self._is_retired = True
        if self._link is not None:
            self._link.retire()

    def close(self) -> None:
        """Close the connection, also one that is being opened; calls under way fail."""
        self._is_closed = True
        self._opening.cancel()
        if self._link is not None:
            self._link.close()

    async def wait_closed(self) -> None:
        """Wait until an opening that `close` has ended is over, and the event loop has closed the rest."""
        await self._opening.wait_ended()
        await asyncio.sleep(0)

    async def _with_room(self) -> Link:
        """Return an open connection on which not too much is unsent; raises NotConnected."""
        link = self._link
        if link is None or not link.is_open():
            link = await self._reach()
        while not link.has_room:
            await link.await_room()
            if not link.is_open():
                link = await self._reach()
        return link

    async def _reply(self, link: Link, sent: bytes) -> Any:
        """Send a packed command on a connection, and return the reply; raises what `Link.send` does."""
        answer = link.send(sent)
        if self._is_retired:
            link.retire()
        try:
            return await answer
        except NotSent:
            raise
        except AnswerLost as lost:
            if link.is_fresh and not await self._is_there():
                raise AnswerLost(str(lost), is_gone=True) from lost
            raise

    async def _is_there(self) -> bool:
        """Find out whether the server answers a login, after a new connection broke at its first call."""
        if self.is_connected:
            return True  # another caller has found out
        try:
            link = await self._reach()
        except NotConnected:
            return False
        if self._is_retired:
            link.retire()
        return True

    async def _reach(self) -> Link:
        """Open a connection; who comes while one is being opened waits for that one.

        One that is closed again, or retired, before it comes to the caller is replaced once. A call waits no
        longer than its deadline; the connection goes on being opened, for the calls that come later.

        Raises:
            NotConnected: it could not be opened, or not in time.
        """
        link = await self._opened(self._deadline_seconds)
        return link if link.is_open() else await self._opened(self._deadline_seconds)

    async def _opened(self, patience_seconds: float) -> Link:
        opening = self._opening.begin()
        try:
            async with asyncio.timeout(patience_seconds):
                return await asyncio.shield(opening)
        except TimeoutError as late:
            raise NotConnected(f"no connection within {patience_seconds:g} s") from late
        except asyncio.CancelledError:
            if opening.cancelled():  # by `close`, and not the caller, who may be told why
                self._ensure_not_closed()
            raise

    async def _open(self) -> Link:
        """Open a connection; one that breaks at its login, or is closed right after it, is replaced once.

        Nothing of the caller's was sent on it. `CLIENT KILL TYPE normal`, say, closes such a one with all
        others. When the second one breaks as well, the server is asked why.
        """
        try:
            link = await self._open_once()
            if link.is_open():  # the reply to the login may have lain there for long
                return link
        except NotConnected as broken:
            if not isinstance(broken.__cause__, _BROKE):
                raise
        try:
            return await self._open_once()
        except NotConnected as broken:
            if isinstance(broken.__cause__, _BROKE):
                why = await self.address.why_closed(connect_seconds(self._deadline_seconds))
                if why is not None:
                    raise NotConnected(str(why)) from why
            raise

    async def _open_once(self) -> Link:
        self._ensure_not_closed()
        link, seconds = Link(self._deadline_seconds), connect_seconds(self._deadline_seconds)
        try:
            async with asyncio.timeout(seconds):
                await self.address.connect(lambda: link, seconds)
                await self._greet(link)
            self._ensure_not_closed()  # while it connected
        except (OSError, ReplyError, hiredis.HiredisError) as error:  # TimeoutError, AnswerLost are OSErrors
            link.close()
            raise NotConnected(str(error) or f"no connection within {seconds:g} s") from error
        except BaseException:
            link.close()
            raise
        self._link = link
        if self._is_retired:  # its caller, who retires it with the call, may have been cancelled meanwhile
            asyncio.get_running_loop().call_later(self._deadline_seconds, link.retire)
        return link

    def _ensure_not_closed(self) -> None:
        if self._is_closed:
            raise NotConnected("the connections to this server were closed")

    async def _greet(self, link: Link) -> None:
        """Log in, and choose the protocol and the database; a caller's command is sent only after that."""
        commands = self._greeting()
        answers = [link.send(packed(command)) for command in commands]
        # One that was refused comes before those that got no answer for it.
        outcomes = await asyncio.gather(*answers, return_exceptions=True)
        for command, outcome in zip(commands, outcomes, strict=True):
            is_name = command[0] == "CLIENT"
            if isinstance(outcome, BaseException) and not (is_name and str(outcome).startswith(_HARMLESS)):
                raise outcome
        if self._examine is not None:
            await self._examine(link)
        link.is_fresh = True

    def _greeting(self) -> list[tuple[Argument, ...]]:
        address = self.address
        login = (address.user or "default", address.password)
        commands: list[tuple[Argument, ...]] = []
        if address.protocol == RESP3:
            commands.append(("HELLO", 3, "AUTH", *login) if address.password else ("HELLO", 3))
        elif address.password:
            commands.append(("AUTH", *(login if address.user else login[1:])))
        if address.database:
            commands.append(("SELECT", address.database))
        return [*commands, ("CLIENT", "SETNAME", address.client_name)]


class Single:
    """A store of one server, which holds every key."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def call(
        self, _key: str, *command: Argument, carriers: set[Link] | None = None
    ) -> Coroutine[Any, Any, Any]:
        """Send a command to the server, once this is awaited; errors are those of `Node.call`."""
        return self._node.call(*command, carriers=carriers)

    async def call_each(self, *command: Argument) -> dict[str, Any]:
        """Send a command to the server; errors are those of `Node.call`."""
        return {self._node.address.shown_place: await self._node.call(*command)}

    def places(self) -> list[StoreAddress]:
        """List the server's address, as a Cluster lists those of its nodes."""
        return [self._node.address]

    async def close(self) -> None:
        """Close the connection, and let the event loop carry it out."""
        self._node.close()
        await self._node.wait_closed()
