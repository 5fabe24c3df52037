"""What all connections of a process hold together, and what of it each one does."""


class HeldBytes:
    """A bound that all connections share."""

    def __init__(self, most: int) -> None:
        self.most, self.held = most, 0


class Holding:
    """What one connection holds."""

    __slots__ = ("_shared", "size")

    def __init__(self, shared: HeldBytes) -> None:
        self._shared, self.size = shared, 0

    def set(self, size: int) -> bool:
        """Note what the connection holds now; False if it has grown, and all together are past the bound."""
        grown = size - self.size
        self.size = size
        self._shared.held += grown
        return grown <= 0 or self._shared.held <= self._shared.most
