"""Counts the bytes that all connections of a process hold together, and what of them may be of which kind."""

from typing import Final

# Of what all connections may hold, one part of so many is for bodies that are being taken, and nothing else.
BODY_PARTS: Final = 4
# Long heads of requests under way may have one part of so many: a thousand small objects each, of which some
# always keep the memory around them, so that 24 MiB of heads were 29 MiB that stayed when all had gone.
HEAD_PARTS: Final = 4


class HeldBytes:
    """Counts the bytes that all connections of a process hold together, of at most `most`.

    Anybody can begin heads and not end them, or ask for answers and not read them. So that this keeps nobody
    out who was let in and sends a long body, a quarter is left for bodies. Another bounds the heads that are
    kept until their requests are answered.
    """

    def __init__(self, most: int) -> None:
        self.most, self.held = most, 0
        self.other = 0
        """The bytes among them that are of no body."""
        self.heads = 0
        """The bytes among those that are of heads of requests under way."""

    @property
    def most_heads(self) -> int:
        """Return how many may be of heads of requests under way."""
        return self.most // HEAD_PARTS

    @property
    def most_other(self) -> int:
        """Return how many may be of no body."""
        return self.most - self.most // BODY_PARTS


class Holding:
    """Counts the bytes that one connection holds, among those of all."""

    __slots__ = ("_head", "_other", "_shared", "size")

    def __init__(self, shared: HeldBytes) -> None:
        self._shared, self.size, self._other, self._head = shared, 0, 0, 0

    def set(self, size: int, of_body: int = 0, head: int = 0) -> bool:
        """Note what the connection holds now: among it of a body that comes in, and of its request's head.

        False if all of it, or what is of no body, or the head, has grown, and is past its bound for all
        connections.
        """
        shared, other = self._shared, size - of_body
        grown, more, longer = size - self.size, other - self._other, head - self._head
        self.size, self._other, self._head = size, other, head
        shared.held += grown
        shared.other += more
        shared.heads += longer
        if longer > 0 and shared.heads > shared.most_heads:
            return False
        if more > 0 and shared.other > shared.most_other:
            return False
        return grown <= 0 or shared.held <= shared.most
