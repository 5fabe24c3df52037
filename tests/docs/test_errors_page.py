"""The page of errors knows every problem a client can meet."""

from collections.abc import Iterator
from pathlib import Path

from app.errors import HttpError
from app.server.limits import ABORTED, BOUNDS
from app.store.store_errors import STORE_ERRORS
from tests.support.pages import ROOT

PAGE = ROOT / "docs" / "errors.md"


def _rows(page: Path) -> list[list[str]]:
    """The cells of every row of the page's tables."""
    lines = page.read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]


def _errors(base: type[HttpError]) -> Iterator[type[HttpError]]:
    for error in base.__subclasses__():
        yield error
        yield from _errors(error)


def test_every_error_is_on_the_page_with_its_status() -> None:
    told = {row[0]: row[1] for row in _rows(PAGE)}
    for error in _errors(HttpError):
        if hasattr(error, "slug"):
            assert told.get(f"`{error.slug}`") == str(error.status), error.__name__


def test_every_refusal_of_a_connection_is_on_the_page_with_its_status() -> None:
    told = {(row[0].strip("`"), row[1]) for row in _rows(PAGE)}
    for bound in BOUNDS:
        if bound.status != ABORTED:
            assert (bound.reason, str(bound.status)) in told


def test_every_way_the_store_fails_is_on_the_page_with_whether_it_means_down() -> None:
    told = {row[0]: row[1] for row in _rows(PAGE)}
    for error in STORE_ERRORS:
        assert told.get(f"`{error.kind}`") == ("down" if error.means_down else ""), error.kind
