"""Finds the lines of a TOML file on which keys stand, which Python's parser does not say.

    1  [feeds.quicknode-a]
    2  hmac = "quicknode"
    3  skip = [
    4      "votes",
    5  ]
    6  transaction_per_second = 5000

The file is read statement by statement: a header alone is valid TOML, as is `hmac = "quicknode"`, and three
lines together are for `skip`. Each statement says below the header before it which keys it sets.
"""

import tomllib
from collections.abc import Iterator
from typing import Any, Final

KeyPath = tuple[str, ...]

# A longer one is not looked into, nor what comes after it: it is parsed anew with each of its lines.
MOST_STATEMENT_LINES: Final = 1000
# What the last line of several has: the end of an array, or of a text in three quotes.
_ENDS = ("]", '"""', "'''")


class KeyLines:
    """The lines of all keys of a valid TOML file."""

    def __init__(self, text: str) -> None:
        self._lines: dict[KeyPath, int] = {}
        for line, path in _statements(text):
            for length in range(1, len(path) + 1):
                self._lines.setdefault(path[:length], line)

    def line_of(self, path: KeyPath) -> int:
        """Return the line on which a path, such as `("feeds", "quicknode-a", "skip")`, is first set, from 1.

        Of one that is nowhere set it is the line of the longest part of it that is.
        """
        for length in range(len(path), 0, -1):
            if path[:length] in self._lines:
                return self._lines[path[:length]]
        return 1


def _statements(text: str) -> Iterator[tuple[int, KeyPath]]:
    """Yield each path that is set with the line on which its statement begins."""
    header: KeyPath = ()
    for line, statement, keys in _parsed(text):
        paths = list(_paths(keys))
        if paths and statement.lstrip().startswith("["):
            header = paths[-1]
            yield line, header
        else:
            yield from ((line, header + path) for path in paths)


def _parsed(text: str) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Yield each statement with the line on which it begins and the keys that it sets, seen alone."""
    begins, lines = 1, list[str]()
    for number, line in enumerate(text.split("\n"), start=1):
        lines.append(line)
        if len(lines) > MOST_STATEMENT_LINES:
            return
        if len(lines) > 1 and not any(end in line for end in _ENDS):
            continue
        statement = "\n".join([*lines, ""])
        try:
            yield begins, statement, tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        begins, lines = number + 1, []


def _paths(keys: dict[str, Any]) -> Iterator[KeyPath]:
    """Yield the paths of all keys, those of a table after its own."""
    for key, value in keys.items():
        yield (key,)
        if isinstance(value, dict):
            yield from ((key, *rest) for rest in _paths(value))
