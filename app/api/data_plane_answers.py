"""What the addresses of the data plane share: their route, their answers, and how a stop ends them."""

import asyncio
from functools import lru_cache

import msgspec
from starlette.routing import Match, Route
from starlette.types import Message, Scope, Send

from app.errors import ShuttingDown
from app.ingest.batch_summary import Summary

encode = msgspec.json.Encoder().encode


class DataRoute(Route):
    """A route that notes in the scope which one it is, so that metrics can count by it."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether a request is for this route, and what the route adds to its scope."""
        match, child_scope = super().matches(scope)
        return match, {**child_scope, "route": self}


async def send_json(send: Send, document: object) -> None:
    """Answer 200 with a JSON document."""
    body = encode(document)
    await send(json_start(len(body)))
    await send({"type": "http.response.body", "body": body})


@lru_cache(1024)
def json_start(length: int) -> Message:
    """Return the start of an answer 200 with a JSON document of so many bytes."""
    headers = [(b"content-length", b"%d" % length), (b"content-type", b"application/json")]
    return {"type": "http.response.start", "status": 200, "headers": headers}


def check_stop() -> None:
    """Take no more of a body once the server has ended its patience while a part was being stored.

    Raises:
        CancelledError: it has.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def stopping(summary: Summary, items: str) -> ShuttingDown:
    """Return the error for a request that the stop has ended, whose items in the summary were processed.

    Each of those is counted as what it was, and of what was not read nobody knows whether there is any: after
    two lines of an NDJSON body that stays open, two were accepted and none was refused.
    """
    if not summary.items:
        return ShuttingDown("the gate is stopping; send this again")
    error = ShuttingDown(f"the gate is stopping; send the {items} behind those of this summary again")
    error.is_counted = True
    return error
