"""The names of the shapes of bodies that the gate knows, as docs, metrics and answers have them."""

from enum import StrEnum


class Shape(StrEnum):
    """Shapes in the words of the docs."""

    ITEM = "item"
    HELIUS_ENHANCED = "helius-enhanced"
    SOLANA_TRANSACTION = "solana-transaction"
    SOLANA_BLOCK = "solana-block"
    JSON_RPC = "json-rpc"
    YELLOWSTONE = "yellowstone"
    MAPPED = "mapped"


NAMES = ", ".join(shape for shape in Shape if shape is not Shape.MAPPED)
"""The shapes that are known without a feeds file, for an error."""
