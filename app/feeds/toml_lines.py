"""Finds the line of a TOML file on which a key stands, which Python's parser does not say.

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
from typing import Any

KeyPath = tuple[str, ...]


def line_of(path: KeyPath, text: str) -> int:
    """Return the line on which this path, such as `("feeds", "quicknode-a", "skip")`, is first set, from 1.

    The text is valid TOML. Of a path that is nowhere set it is the line of the longest part of it that is.
    """
    longest, line = 0, 1
    for number, found in _statements(text):
        shared = _shared(path, found)
        if shared > longest:
            longest, line = shared, number
    return line


def _shared(path: KeyPath, found: KeyPath) -> int:
    """How many keys the two have in common from the first on."""
    differing = (at for at, (one, other) in enumerate(zip(path, found, strict=False)) if one != other)
    return next(differing, min(len(path), len(found)))


def _statements(text: str) -> Iterator[tuple[int, KeyPath]]:
    """Yield each path that is set with the line on which its statement begins."""
    header: KeyPath = ()
    begins, statement = 1, ""
    for number, line in enumerate(text.split("\n"), start=1):
        statement += f"{line}\n"
        try:
            keys = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        paths = list(_paths(keys))
        if paths and statement.lstrip().startswith("["):
            header = paths[-1]
            yield begins, header
        else:
            yield from ((begins, header + path) for path in paths)
        begins, statement = number + 1, ""


def _paths(keys: dict[str, Any]) -> Iterator[KeyPath]:
    """Yield the paths of all keys, those of a table after its own."""
    for key, value in keys.items():
        yield (key,)
        if isinstance(value, dict):
            yield from ((key, *rest) for rest in _paths(value))
