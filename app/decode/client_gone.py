"""The error of a body of which the rest does not come."""

from app.errors import MalformedBody
from app.models import ServerProblem


class ClientGone(MalformedBody):
    """A body of which the rest does not come; `problem` is what the client is told, if it is still there."""

    def __init__(self, problem: ServerProblem | None = None) -> None:
        super().__init__(problem.detail if problem else "the client went away before the body was complete")
        self.problem = problem
