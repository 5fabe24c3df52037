"""The page for contributors is true: it has every target of make, and the files it names exist."""

import re
from pathlib import Path

import pytest

from tests.support.pages import PAGES, ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FOLDERS = "app|benchmarks|deploy|docs|grafana|scripts|tests"
PLACE = re.compile(rf"`((?:{FOLDERS})/[\w./-]*)`")
# A change log tells of files as they were.
PAGES_OF_TODAY = [page for page in PAGES if page.name != "CHANGELOG.md"]


def test_every_target_of_make_is_described() -> None:
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    described = re.findall(r"^\| `make ([a-z-]+)` \|", TEXT, re.MULTILINE)
    assert sorted(described) == sorted(set(targets) - {"help"})


@pytest.mark.parametrize("page", PAGES_OF_TODAY, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_files_that_a_page_names_exist(page: Path) -> None:
    named = PLACE.findall(page.read_text(encoding="utf-8"))
    assert [place for place in named if not ((ROOT / place).exists() or (page.parent / place).exists())] == []


def test_a_change_is_told_with_the_files_it_touches() -> None:
    assert {"app/settings/model.py", "app/api/addresses.py", "app/errors.py"} <= set(PLACE.findall(TEXT))
