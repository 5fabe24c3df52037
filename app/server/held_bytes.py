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
    kept until their requests are answered. Those from one address may hold as much of it as all heads leave
    free: of 8 MiB one client has 4, and a second one then 2.
    """

    def __init__(self, most: int) -> None:
        self.most, self.held = most, 0
        self.other = 0
        """The bytes among them that are of no body."""
        self.heads = 0
        """The bytes among those that are of heads of requests under way."""
        self.senders: dict[str, int] = {}
        """How many of these each client address has sent."""

    @property
    def most_heads(self) -> int:
        """Return how many may be of heads of requests under way."""
        return self.most // HEAD_PARTS

    @property
    def most_other(self) -> int:
        """Return how many may be of no body."""
        return self.most - self.most // BODY_PARTS

    def take_head(self, sender: str, longer: int) -> None:
        """Count what the head of a request under way has grown by, for its sender too."""
        self.heads += longer
        left = self.senders.pop(sender, 0) + longer
        if left:
            self.senders[sender] = left

    def has_room_for(self, sender: str, head: int) -> bool:
        """Tell whether a head that was counted has room; the first of a sender may take all there is."""
        of_sender, free = self.senders.get(sender, 0), self.most_heads - (self.heads - head)
        return head <= free and (of_sender <= free or of_sender == head)


class Holding:
    """Counts the bytes that one connection holds, among those of all."""

    __slots__ = ("_head", "_other", "_shared", "sender", "size")

    def __init__(self, shared: HeldBytes) -> None:
        self._shared, self.size, self._other, self._head = shared, 0, 0, 0
        self.sender = ""
        """The address of the client, set before the first head is counted."""

    def set(self, size: int, of_body: int = 0, head: int = 0) -> bool:
        """Note what the connection holds now: among it of a body that comes in, and of its request's head.

        False if all of it, or what is of no body, or the head, has grown, and is past its bound for all
        connections, or for those of the sender.
        """
        shared, other = self._shared, size - of_body
        grown, more, longer = size - self.size, other - self._other, head - self._head
        self.size, self._other, self._head = size, other, head
        shared.held += grown
        shared.other += more
        if longer:
            shared.take_head(self.sender, longer)
        if longer > 0 and not shared.has_room_for(self.sender, head):
            return False
        if more > 0 and shared.other > shared.most_other:
            return False
        return grown <= 0 or shared.held <= shared.most
