"""What the server hands on of a body (ASGI): its next bytes, or that the rest of them does not come."""

from starlette.types import Message

from app.errors import MalformedBody
from app.models import ServerProblem


class ClientGone(MalformedBody):
    """A body of which the rest does not come; `problem` is what the client is told, if it is still there."""

    def __init__(self, problem: ServerProblem | None = None) -> None:
        super().__init__(problem.detail if problem else "the client went away before the body was complete")
        self.problem = problem


def chunk_of(message: Message) -> tuple[bytes, bool]:
    """Return the next bytes of a body, and whether there are more; raises ClientGone in place of them."""
    if message["type"] == "http.disconnect":
        raise ClientGone(message.get("tidegate.problem"))
    return message.get("body", b""), message.get("more_body", False)
