"""Tells who posts a provider's body to `/transactions`, which takes items, where it belongs."""

from collections.abc import Generator
from mmap import mmap
from typing import Final

from app.decode.event_loop_turns import next_turn
from app.decode.item import InvalidItem, ItemLimits
from app.feeds.document import Document, first_of, members_of
from app.feeds.document_reader import Reader
from app.feeds.feed_rules import NO_RULES
from app.feeds.json_values import Refused
from app.feeds.recognise import recognised
from app.feeds.shape_names import Shape

_WORDS: Final = {
    Shape.HELIUS_ENHANCED: "a Helius enhanced webhook",
    Shape.SOLANA_TRANSACTION: "a Solana transaction, as Helius raw webhooks and getTransaction have it",
    Shape.SOLANA_BLOCK: "a Solana block",
    Shape.JSON_RPC: "an answer or a notification of JSON-RPC",
    Shape.YELLOWSTONE: "an update of Yellowstone gRPC",
}


async def provider_hint(body: bytes | mmap, limits: ItemLimits) -> str | None:
    """Return a sentence when the first document of a body is what a provider sends; else None.

    `body` has no white space around it. Others are served while the members of a long one are told apart.
    """
    reader = Reader(body, limits, NO_RULES, recognised)
    walk = _shape(reader, len(body))
    try:
        while True:
            next(walk)
            await next_turn()
    except StopIteration as done:
        what = _WORDS.get(done.value)
    except (Refused, InvalidItem):
        return None
    return None if what is None else f"this is {what}: send it to /feeds/NAME, with the source's name"


def _shape(reader: Reader, length: int) -> Generator[None, None, Shape | None]:
    """Return the shape of the first document, and yield wherever others may be served.

    What is inside of `{"data":[…],"metadata":{…}}` is the document of a QuickNode Stream.
    """
    document = yield from _first(reader, Document(0, length))
    known = recognised((yield from reader.fields(document)))
    if known is not None and known.shape is None:
        found = yield from members_of(reader, document, "data")
        if "data" not in found:
            return None
        document = yield from _first(reader, document.inner(found["data"]))
        known = recognised((yield from reader.fields(document)))
    return None if known is None else known.shape


def _first(reader: Reader, document: Document) -> Generator[None, None, Document]:
    """Return the first element of an array, any other document as it is; yield between elements."""
    if first_of(reader, document) == b"[":
        for place in reader.values.elements(document.start, document.end):
            if place is not None:
                return document.inner(place)
            yield
    return document
