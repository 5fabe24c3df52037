"""Finds the items of a JSON array by its brackets and strings alone, a window of bytes at a time.

In `[{"signature":"A"}, NaN, {"signature":"B"}]` a strict parser stops at the second item. Here the three
texts between the commas at the depth of the array are told apart without reading them, so that each is
decoded by itself, and one that cannot be read (NaN, a million brackets) spoils no other. It takes longer than
a parser: it is for arrays that one refuses, or that are too long for one call of it. A window is 4 KiB, since
the worst of them, nothing but brackets and quotes, takes two milliseconds, and others are served between two
windows.
"""

import re
from mmap import mmap

from app.errors import BodyTooLarge, MalformedBody

SPACE = b" \t\r\n"
# RFC 8259 section 8.1 lets a reader ignore it; some editors and Windows programs put it before everything.
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
WINDOW_BYTES = 4 * 1024
# About a second of work; bodies as feeds send them have a tenth of it in 8 MiB.
MAX_TOKENS = 4_000_000

# A string, a quote whose string does not end in the window, a run of brackets, or plain values with commas.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|"|[\[{]+|[\]}]+|,[^"\[\]{}]*+', re.DOTALL)
_STRING_REST = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_OPENING, _CLOSING = frozenset(b"[{"), frozenset(b"]}")
_COMMA, _QUOTE = ord(","), ord('"')


class ArrayScanner:
    """The items of an array as they stand, found in steps of at most 4 KiB.

    `body` begins with the bracket of the array and has no white space around it. Of an item longer than
    `max_item_bytes` only the length is told. What is told before an error was whole.
    """

    def __init__(self, body: bytes | mmap, max_item_bytes: int) -> None:
        self._body, self._max_item_bytes = body, max_item_bytes
        self.start = 1
        """Where the first item begins that has not been told; everything before was read."""
        self.is_done = False
        self._is_first = True
        self._at = 1
        # In [1, {"a": "b"}] the depth is 1 beside the items and 2 inside the object.
        self._depth = 1
        self._in_string = False
        self._tokens = 0
        # Behind the last character of the pending item that is no white space, before this window.
        self._solid = 1

    def go_to(self, start: int) -> None:
        """Go on with the item that begins there; a decoder has read those before it."""
        self.start = self._at = self._solid = start
        self._depth, self._in_string, self._is_first = 1, False, False
        self.is_done = start >= len(self._body)

    def step(self) -> list[bytes | int]:
        """Look at the next window, and return the items that end in it.

        Raises:
            MalformedBody: the body is no array, with the byte at fault.
            BodyTooLarge: it holds more brackets and strings than can be looked at.
        """
        begin, end = self._at, min(self._at + WINDOW_BYTES, len(self._body))
        items: list[bytes | int] = []
        if self._in_string:
            self._leave_string(end)
        if not self._in_string:
            self._scan(begin, end, items)
        if self.is_done:
            return items
        if end == len(self._body):
            raise MalformedBody(f"JSON is cut off (byte {end})")
        if self._tokens > MAX_TOKENS:
            raise BodyTooLarge(
                f"the array holds more than {MAX_TOKENS} brackets and strings: send less at once"
            )
        self._note_space(begin)
        return items

    def _leave_string(self, end: int) -> None:
        """Go to the end of the string, or of the window; an escape that is cut waits for the next one."""
        rest = _STRING_REST.match(self._body, self._at, end)
        self._at = rest.end() if rest else self._at
        if self._at < end and self._body[self._at] == _QUOTE:
            self._in_string = False
            self._at += 1

    def _scan(self, begin: int, end: int, items: list[bytes | int]) -> None:
        body = self._body
        if not body[self._at : end].strip(SPACE):
            self._at = end
            return
        for token in _TOKEN.finditer(body, self._at, end):
            at, stop = token.span()
            char = body[at]
            self._tokens += 1
            if char in _OPENING:
                self._depth += stop - at
            elif char in _CLOSING:
                if self._depth <= stop - at:
                    self._finish(begin, at + self._depth - 1, items)
                    return
                self._depth -= stop - at
            elif char == _COMMA and self._depth == 1:
                self._end_items(begin, at, stop, items)
            elif char == _QUOTE and stop == at + 1:
                self._in_string, self._at = True, stop
                self._leave_string(end)
                return
        self._at = end

    def _end_items(self, begin: int, at: int, stop: int, items: list[bytes | int]) -> None:
        """End an item at each comma of a run such as `,1,2,3`."""
        while (comma := self._body.find(b",", at, stop)) >= 0:
            items.append(self._item(begin, comma))
            self.start = at = comma + 1
            self._is_first = False

    def _finish(self, begin: int, end: int, items: list[bytes | int]) -> None:
        """End the last item at the bracket at `end`, which has to be the array's and the last thing."""
        if self._body[end : end + 1] != b"]":
            raise MalformedBody(f"JSON is malformed: the array ends with another bracket (byte {end})")
        if end + 1 < len(self._body):
            raise MalformedBody(f"JSON is malformed: trailing characters (byte {end + 1})")
        if not (self._is_first and self._solid_end(begin, end) == self.start):
            items.append(self._item(begin, end))
        self.start, self.is_done = end, True

    def _item(self, begin: int, end: int) -> bytes | int:
        """Return the item that stands before `end`, or its length if it is too long."""
        end_of_text = self._solid_end(begin, end)
        if self.start >= begin:
            text = self._body[self.start : end_of_text]
            self.start += len(text) - len(text.lstrip(SPACE))
        length = end_of_text - self.start
        if not length:
            raise MalformedBody(f"JSON is malformed: a comma with nothing beside (byte {end})")
        return bytes(self._body[self.start : end_of_text]) if length <= self._max_item_bytes else length

    def _solid_end(self, begin: int, end: int) -> int:
        """Return where the text of the pending item ends that stands before `end`, white space left out."""
        first = max(self.start, begin)
        text = self._body[first:end].rstrip(SPACE)
        if text:
            return first + len(text)
        return self.start if self.start >= begin else self._solid

    def _note_space(self, begin: int) -> None:
        """Note what is white space around the pending item, so that nobody looks at a window of it again."""
        first = max(self.start, begin)
        text = self._body[first : self._at]
        if self.start >= begin:
            self.start += len(text) - len(text.lstrip(SPACE))
        solid = text.rstrip(SPACE)
        if solid:
            self._solid = first + len(solid)
        elif self.start >= begin:
            self._solid = self.start
