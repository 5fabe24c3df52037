"""`GET /page/events`: once a second the part of the live page that changes, as server-sent events.

Every process answers them itself, with figures of the control plane. For example: `data: <div id="live" …`
"""

import asyncio
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.addresses import PAGE_EVENTS
from app.api.error_responses import problem_of
from app.api.middleware import STEP_ASIDE
from app.errors import HttpError
from app.server.exchange import CUT_OFF, LISTEN, STOPPING
from app.web.viewers import Viewers

# For a client to take what was written when the server stops.
STOP_SECONDS: Final = 2.0
_BEGIN: Final = b"retry: 1000\n\n"


def endpoints(viewers: Viewers) -> dict[tuple[str, str], ASGIApp]:
    """Return what answers events, by method and path."""
    return {("GET", PAGE_EVENTS): GetEvents(viewers)}


class GetEvents:
    """Sends viewers the part of the page that changes (ASGI)."""

    def __init__(self, viewers: Viewers) -> None:
        self._viewers = viewers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        try:
            with self._viewers.take():
                await send(STEP_ASIDE)
                await send(_HEAD)
                if scope["method"] == "HEAD":
                    await send(_body(b"", more=False))
                else:
                    await self._show(send)
        except HttpError as error:
            await problem_of(error)(scope, receive, send)

    async def _show(self, send: Send) -> None:
        """Send events until the client has gone or the server stops; one that reads slowly misses some."""
        showing, loop = asyncio.current_task(), asyncio.get_running_loop()
        over = loop.create_future()

        def on_news(news: str) -> None:
            if not over.done():
                over.set_result(None)
            if news == STOPPING and showing is not None:
                loop.call_later(STOP_SECONDS, showing.cancel)

        await send({"type": LISTEN, "on_news": on_news})
        try:
            await send(_body(_BEGIN, more=True))
            while not over.done():
                event = self._viewers.next_event()
                await asyncio.wait([event, over], return_when=asyncio.FIRST_COMPLETED)
                if event.done():
                    await send(_body(event.result(), more=True))
            await send(_body(b"", more=False))
        except asyncio.CancelledError:
            await send({"type": CUT_OFF})


_HEAD: Final = {
    "type": "http.response.start",
    "status": 200,
    # nginx would keep events back until it has some kilobytes of them.
    "headers": [
        (b"content-type", b"text/event-stream"),
        (b"cache-control", b"no-store"),
        (b"x-accel-buffering", b"no"),
    ],
}


def _body(body: bytes, *, more: bool) -> dict[str, object]:
    return {"type": "http.response.body", "body": body, "more_body": more}
