"""The errors of a request whose client has gone, or is refused the rest of its body."""

from collections.abc import Callable

from starlette.types import Message

from app.errors import MalformedBody
from app.models import ServerProblem

Left = Callable[[], Message | None]
"""Answers the `http.disconnect` of a client that has gone, or is refused (LEFT in app/server/exchange.py)."""


class ClientGone(MalformedBody):
    """A body of which the rest does not come; `problem` is what the client is told, if it is still there."""

    def __init__(self, problem: ServerProblem | None = None) -> None:
        super().__init__(problem.detail if problem else "the client went away before the body was complete")
        self.problem = problem


class GivenUp(Exception):
    """A request whose client has gone while its body, whole or not, waited for a turn.

    What was stored of it is stored and counted; the rest is let go, and there is no answer.
    """


def check_client(left: Left) -> None:
    """Do nothing more for a client that is not there, or not served.

    Raises:
        GivenUp: it has gone.
        ClientGone: it is refused the rest of its body.
    """
    message = left()
    if message is None:
        return
    if (problem := message.get("tidegate.problem")) is None:
        raise GivenUp
    raise ClientGone(problem)
