"""The chunks of a request's body, as the server hands them on (ASGI)."""

from starlette.types import Message

from app.errors import MalformedBody


class ClientGone(MalformedBody):
    """The client went away before the body was complete."""


def chunk_of(message: Message) -> tuple[bytes, bool]:
    """Return the next bytes of a body, and whether there are more.

    Raises:
        ClientGone: the client went away instead.
    """
    if message["type"] == "http.disconnect":
        raise ClientGone("the client went away before the body was complete")
    return message.get("body", b""), message.get("more_body", False)
