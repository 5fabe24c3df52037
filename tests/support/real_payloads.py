"""The real payloads of `tests/data`, cut into transactions without touching a byte."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

DATA = Path(__file__).parents[1] / "data"
EXCERPT = "quicknode_streams_block_DOCS_EXCERPT.json"


class Wrapped(NamedTuple):
    """One transaction of a file, as an item for the gate."""

    signature: str
    source: str
    slot: int | None
    payload: bytes

    def item(self) -> bytes:
        """The JSON object to post; the payload stands in it as it stood in the file."""
        head = msgspec.json.encode({"signature": self.signature, "source": self.source, "slot": self.slot})
        return head[:-1] + b',"payload":' + self.payload + b"}"

    def minified(self) -> "Wrapped":
        """Return the payload without white space, to stand on one line."""
        return self._replace(payload=msgspec.json.format(self.payload, indent=-1))


def _elements(body: bytes) -> list[bytes]:
    return [bytes(raw) for raw in msgspec.json.decode(body, type=list[msgspec.Raw])]


def _member(body: bytes, name: str) -> bytes:
    return bytes(msgspec.json.decode(body, type=dict[str, msgspec.Raw])[name])


def _result(body: bytes) -> list[bytes]:
    return [_member(body, "result")]


def _results(body: bytes) -> list[bytes]:
    return [_member(answer, "result") for answer in _elements(body)]


def _of_block(body: bytes) -> list[bytes]:
    return _elements(_member(body, "transactions"))


FILES: dict[str, Callable[[bytes], list[bytes]]] = {
    "helius_raw_nft_sale.json": _elements,
    "helius_enhanced_nft_sale.json": _elements,
    "helius_enhanced_transfer.json": _elements,
    "helius_enhanced_25.json": _elements,
    "solana_getTransaction_mainnet_v0_a.json": _result,
    "solana_getTransaction_mainnet_v0_small.json": _result,
    "solana_getTransaction_batch_rpc_response.json": _results,
    "solana_getBlock_100000000_jsonParsed_10tx.json": _of_block,
}


def transactions_of(file: str) -> list[Wrapped]:
    """The transactions of one file, in its order."""
    source = file.partition("_")[0]
    return [_wrapped(payload, source) for payload in FILES[file]((DATA / file).read_bytes())]


def _wrapped(payload: bytes, source: str) -> Wrapped:
    parsed = msgspec.json.decode(payload)
    signature = parsed.get("signature") or parsed["transaction"]["signatures"][0]
    return Wrapped(signature, source, parsed.get("slot"), payload)


def doubles(items: Sequence[Wrapped]) -> list[int]:
    """The indices of items whose signature came before."""
    signatures = [item.signature for item in items]
    return [at for at, signature in enumerate(signatures) if signature in signatures[:at]]
