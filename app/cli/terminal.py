"""What the commands show people: lines, and tables that fit their terminal, in colours where it has them."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import click
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.highlighter import RegexHighlighter
from rich.live import Live
from rich.table import Table
from rich.text import Text

# In a pipe or a file nothing is folded, so that each row stays one line for `grep` and `awk`.
UNFOLDED_WIDTH = 10_000
GAP = 2

Rows = Sequence[Sequence[str]]
Part = str | Text | Rows


class _Outcomes(RegexHighlighter):
    """Colours the words that say how it went, at the head or the end of a line."""

    highlights = (
        r"^((?P<green>pass)|(?P<red>fail)|(?P<yellow>unknown|WARNING)) ",
        r": ((?P<green>PASS)|(?P<red>FAIL)|(?P<yellow>UNKNOWN))$",
    )


def show(*parts: Part) -> None:
    """Print lines of text, and tables, which are rows with the heads of their columns as the first.

    Without a terminal the output is plain and as wide as it has to be. Colours are left out where `NO_COLOR`
    is set.
    """
    width = None if sys.stdout.isatty() else UNFOLDED_WIDTH
    console = _console(width)
    with console.capture() as captured:
        for part in parts:
            console.print(_renderable(part, console.width), crop=False)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


@contextmanager
def screen() -> Iterator[Callable[[Iterable[Part]], None]]:
    """Take the whole screen of the terminal, and give it back in the end.

    What is given is a function that draws; what does not fit at the lower end is left out.
    """
    console = _console(None)
    with Live(console=console, screen=True, auto_refresh=False) as live:

        def draw(parts: Iterable[Part]) -> None:
            live.update(Group(*(_renderable(part, console.width) for part in parts)), refresh=True)

        yield draw


def _console(width: int | None) -> Console:
    return Console(width=width, highlighter=_Outcomes(), markup=False, emoji=False)


def _renderable(part: Part, width: int) -> RenderableType:
    return part if isinstance(part, str | Text) else _table(_fitting(part, width))


def _fitting(rows: Rows, width: int) -> Rows:
    """Return the table in the first of three forms that is not wider than the terminal.

    The forms are: with its sparklines, which have a column without a head; without them; turned round, with a
    column for each row. Where none fits, the terminal wraps the lines.
    """
    figures = rows if rows[0][-1] else [row[:-1] for row in rows]
    forms = (rows, figures, list(zip(*figures, strict=True)))
    return next((form for form in forms if _width(form) <= width), figures)


def _width(rows: Rows) -> int:
    columns = list(zip(*rows, strict=True))
    return sum(max(map(cell_len, column)) for column in columns) + GAP * (len(columns) - 1)


def _table(rows: Rows) -> Table:
    """Set the first column to the left, figures to the right, and sparklines to the left again."""
    table = Table(box=None, pad_edge=False, padding=(0, GAP // 2), width=_width(rows))
    for at, head in enumerate(rows[0]):
        table.add_column(head, justify="right" if at and head else "left", no_wrap=True)
    for row in rows[1:]:
        table.add_row(*row)
    return table
