"""Some connections to the control plane, and the requests that wait for one of them.

A thousand clients may ask for what the control plane answers, over sixteen connections. The pool of httpcore
looks through all requests that wait, and all connections, whenever one comes, ends or gives up. With
550 waiting, those that gave up in the same second made one turn of the event loop last ten, and ordinary
posts waited for it. So requests wait here, in the order they came, and the pool has none that has to wait.
"""

import asyncio
from collections import deque
from typing import Final

import httpx

# How long a request waits for a connection to come free, and how long for one to be made.
WAIT_SECONDS: Final = 1.0
# After so many answers the event loop serves others first: each client may have sent its next request.
GIVEN_UP_A_TURN: Final = 8
# Shorter than the control plane keeps an idle connection.
KEPT_SECONDS: Final = 30.0


class ControlConnections:
    """Connections to the control plane for one kind of requests, `most` of them at once."""

    def __init__(self, control: str, most: int) -> None:
        limits = httpx.Limits(
            max_connections=most, max_keepalive_connections=most, keepalive_expiry=KEPT_SECONDS
        )
        self._transport = httpx.AsyncHTTPTransport(uds=control, limits=limits, verify=False)
        self._free = most
        self._waiting: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._is_watched = False  # `_give_up_some` will be called

    @property
    def waiting(self) -> int:
        """Return how many requests wait for a connection."""
        return len(self._waiting)

    async def ask(self, request: httpx.Request) -> httpx.Response:
        """Return an answer with all of its body, as it is: compressed stays compressed.

        Raises:
            httpx.PoolTimeout: no connection came free within `WAIT_SECONDS`; nothing was sent.
            httpx.TransportError: the control plane gave no answer.
        """
        await self._take_place()
        try:
            response = await self._transport.handle_async_request(request)
            stream = response.stream
            try:
                response.extensions["body"] = b"".join([chunk async for chunk in stream])  # type: ignore[union-attr]  # that of an asynchronous transport
            finally:
                await response.aclose()
            return response
        finally:
            self._give_place_on()

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    async def _take_place(self) -> None:
        if self._free:
            self._free -= 1
            return
        loop = asyncio.get_running_loop()
        place = loop.create_future()
        self._waiting.append((loop.time() + WAIT_SECONDS, place))
        if not self._is_watched:
            self._is_watched = True
            loop.call_later(WAIT_SECONDS, self._give_up_some, loop)
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled() and place.exception() is None:
                self._give_place_on()  # it came at the same moment
            raise

    def _give_place_on(self) -> None:
        while self._waiting:
            _, place = self._waiting.popleft()
            if not place.done():  # its request was cancelled
                place.set_result(None)
                return
        self._free += 1

    def _give_up_some(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give up those that have waited for too long, a few in each turn of the event loop."""
        for _ in range(GIVEN_UP_A_TURN):
            if not self._waiting or self._waiting[0][0] > loop.time():
                break
            _, place = self._waiting.popleft()
            if not place.done():
                place.set_exception(httpx.PoolTimeout("no connection to the control plane came free"))
        self._is_watched = bool(self._waiting)
        if self._waiting:
            loop.call_later(max(0.0, self._waiting[0][0] - loop.time()), self._give_up_some, loop)
