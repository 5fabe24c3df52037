"""The leak of a drill: bytes that this process keeps and has no use for, until the drill is over."""

CHUNK_BYTES = 1024 * 1024
"""Blocks of this size and more are mapped by themselves (app/process/heap.py), so that freed they go back."""


class RetainedBytes:
    """Keeps as many bytes as it is told to, in pages that are written, so that they are resident."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    @property
    def held(self) -> int:
        """Bytes that are kept."""
        return len(self._chunks) * CHUNK_BYTES

    def grow_to(self, most_bytes: float) -> None:
        """Keep more, as long as that is not above this many bytes."""
        while self.held + CHUNK_BYTES <= most_bytes:
            self._chunks.append(b"\x01" * CHUNK_BYTES)

    def free(self) -> None:
        """Let go of everything."""
        self._chunks.clear()
