"""Lines of keys in a TOML file."""

import pytest

from app.feeds.toml_lines import MOST_STATEMENT_LINES, KeyLines

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
    assert KeyLines(TEXT.replace("\n", line_end)).line_of(path) == line


def test_only_line_feeds_end_a_line() -> None:
    assert KeyLines('a = "\u2028\x85"\nb = 1').line_of(("b",)) == 2


@pytest.mark.slow
def test_a_statement_of_too_many_lines_ends_the_search() -> None:
    elements = "[],\n" * MOST_STATEMENT_LINES
    lines = KeyLines(f"a = 1\n[b]\nc = [\n{elements}]\nd = 1\n")
    assert lines.line_of(("a",)) == 1
    assert lines.line_of(("b", "d")) == 2, "the table is all that is known of it"
