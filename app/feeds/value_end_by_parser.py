"""Tells where a JSON value ends by what a parser says of the text behind it.

Given `{"fee":5000},{"fee":1}` the parser reads the first value and refuses the comma, the 13th character:
"JSON is malformed: trailing characters (byte 13)". So the value ends after 12.
"""

import msgspec

from app.feeds.character_runs import SPACE_CHARS, Text

_TRAILING = "trailing characters (byte "
_raw_decoder = msgspec.json.Decoder(msgspec.Raw)


def value_end(text: Text, start: int, stop: int) -> int:
    """Return where the value that begins at `start` ends, at `stop` at the latest.

    Raises:
        ValueError, RecursionError: the parser refuses it.
    """
    view = memoryview(text)[start:stop]
    try:
        _raw_decoder.decode(view)
    except msgspec.DecodeError as error:
        _, trailing, place = str(error).rpartition(_TRAILING)
        if not trailing:
            raise
        end = int(place[:-1]) - 1  # the parser counts the character it refuses
    else:
        end = len(view)
    if view[end - 1] in SPACE_CHARS:
        end = len(bytes(view[:end]).rstrip(SPACE_CHARS))
    return start + end
