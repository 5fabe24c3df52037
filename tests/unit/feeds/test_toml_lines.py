"""Lines of keys in a TOML file."""

import pytest

from app.feeds.toml_lines import line_of

TEXT = """\
# feeds
title = "x"

[feeds.a]
skip = [
    "votes",  # a comment
    "failed",
]
note = \"\"\"
[feeds.b]
\"\"\"
[feeds."b.c"] # quoted
deep.key = 1
inline = { one = 1, two = 2 }

[[list]]
one = 1
[[list]]
two = 2
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 2),
        (("feeds",), 4),
        (("feeds", "a"), 4),
        (("feeds", "a", "skip"), 5),
        (("feeds", "a", "note"), 9),
        (("feeds", "b.c"), 12),
        (("feeds", "b.c", "deep", "key"), 13),
        (("feeds", "b.c", "inline", "two"), 14),
        (("list",), 16),
        (("list", "two"), 19),
        (("feeds", "a", "missing"), 4),
        (("missing",), 1),
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_key_stands_where_its_statement_begins(path: tuple[str, ...], line: int, line_end: str) -> None:
    assert line_of(path, TEXT.replace("\n", line_end)) == line


def test_only_line_feeds_end_a_line() -> None:
    assert line_of(("b",), 'a = "\u2028\x85"\nb = 1') == 2
