"""The requests under way in one process: the middleware counts them, and metrics read the count."""


class RequestsInFlight:
    """How many requests are under way in this process, and how many there may be."""

    __slots__ = ("count", "limit")

    def __init__(self, limit: int) -> None:
        self.count = 0
        self.limit = limit

    @property
    def has_room(self) -> bool:
        """Tell whether one more request may be under way."""
        return self.count < self.limit
