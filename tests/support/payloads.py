"""The real transactions of `tests/data`, each as its exact bytes with its signature."""

from pathlib import Path
from typing import NamedTuple

import msgspec

DATA = Path(__file__).parent.parent / "data"


class Delivered(NamedTuple):
    """One transaction as a feed delivers it."""

    signature: str
    slot: int | None
    payload: bytes

    def item(self, source: str = "helius-a") -> bytes:
        """The transaction wrapped as an item, its bytes untouched."""
        head = {"signature": self.signature, "source": source, "slot": self.slot}
        return msgspec.json.encode(head)[:-1] + b',"payload":' + self.payload + b"}"


def _members(raw: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    return msgspec.json.decode(raw, type=dict[str, msgspec.Raw])


def _elements(raw: bytes | msgspec.Raw) -> list[msgspec.Raw]:
    return msgspec.json.decode(raw, type=list[msgspec.Raw])


def _delivered(raw: bytes | msgspec.Raw) -> Delivered:
    """A transaction in any of the shapes: enhanced, raw, or the answer of a JSON-RPC call."""
    document = msgspec.json.decode(raw)
    core = document.get("result", document)
    signature = core.get("signature") or core["transaction"]["signatures"][0]
    return Delivered(signature, core.get("slot"), bytes(raw))


def transactions_of(name: str) -> list[Delivered]:
    """The whole transactions of one file, in order."""
    body = (DATA / name).read_bytes().strip()
    if body.startswith(b"["):
        return [_delivered(raw) for raw in _elements(body)]
    if "getBlock" in name:
        return [_delivered(raw) for raw in _elements(_members(body)["transactions"])]
    return [_delivered(body)]


# The QuickNode sample is elided by its authors: it holds no whole transaction.
FILES = sorted(path.name for path in DATA.glob("*.json") if "EXCERPT" not in path.name)
