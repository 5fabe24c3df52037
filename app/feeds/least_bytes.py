"""The least bytes of many documents, which prove that they hold nothing but what was read from them.

`{"signature":"A","slot":5}` has 26 bytes, and nothing shorter says the same. So documents that have just the
least bytes for what was read from them have no white space, no other members and no name twice: a second
`"slot":5` would make one longer, and nothing can make it up.
"""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import msgspec

Others = Sequence[tuple[Callable[[Any], msgspec.Raw], int]]
"""How to get the text of a member that may be missing, and the bytes its name, colon and comma take."""


def others_of(document: type[msgspec.Struct], *apart: str) -> Others:
    """Return the members of documents that are kept as their text, all but those named."""
    members = msgspec.structs.fields(document)
    return [
        (attrgetter(member.name), len(f'"{member.encode_name}":,'))
        for member in members
        if member.name not in apart
    ]


def least_bytes_of(documents: Sequence[Any], others: Others) -> int:
    """Return the least bytes that those members of all documents take, with names, colons and commas."""
    least = 0
    for value_of, name_bytes in others:
        lengths = list(map(len, map(value_of, documents)))
        least += sum(lengths) + name_bytes * (len(lengths) - lengths.count(0))
    return least


def is_utf8(text: bytes) -> bool:
    """Tell whether a text is UTF-8."""
    try:
        return text.isascii() or bool(text.decode())
    except UnicodeDecodeError:
        return False
