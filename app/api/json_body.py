r"""The JSON body of a call that is no post of transactions, however a client library writes it.

With a byte order mark, in gzip, or with half an emoji: `"\ud83d"` is valid JSON text (RFC 8259 section 8.2),
though no name or value that such a call takes, so it is read as U+FFFD.
"""

from collections.abc import Mapping, Sequence

from starlette.types import Receive

from app.api.addresses import SMALL_BODY_BYTES
from app.decode.body_reader import media_type
from app.decode.surrogates import shown_as_replaced
from app.errors import UnsupportedMedia
from app.ingest.data_plane import DataPlane

_JSON = ("application/json",)


def check_json(headers: Mapping[bytes, bytes], media_types: Sequence[str] = _JSON) -> None:
    """Refuse a body that its head does not call JSON.

    Raises:
        UnsupportedMedia: it is called something else, or nothing.
    """
    media = media_type(headers.get(b"content-type", b""))
    if media not in media_types:
        found = f"Content-Type {media!r}" if media else "there is no Content-Type"
        wanted = " or ".join(f"`Content-Type: {each}`" for each in media_types)
        raise UnsupportedMedia(f"{found}: send the header {wanted}")


async def read_small_json(
    plane: DataPlane,
    headers: Mapping[bytes, bytes],
    receive: Receive,
    address: str,
    media_types: Sequence[str] = _JSON,
) -> bytes:
    """Return a body of at most 16 KiB, sent and inflated, as text for a decoder of JSON.

    Raises:
        UnsupportedMedia: it is not called JSON, or has another coding than gzip.
        MalformedBody: the coding is broken, or the body ended too soon.
        BodyTooLarge: it is longer.
        Overloaded: too many bodies are under way.
    """
    check_json(headers, media_types)
    async with plane.body(headers, receive, address, SMALL_BODY_BYTES) as body:
        return await shown_as_replaced(bytes(await body.whole()))
