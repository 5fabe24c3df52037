"""Version and format of the store are the same wherever they stand, and a new format is a new version."""

import re
import tomllib

import pytest

from app.store.partitions import FORMAT
from tests.support import last_release
from tests.support.pages import ROOT

VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
CHANGES = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
# `| 0.2.0, this one | 2 |`
FORMATS = dict(
    re.findall(
        r"^\| ([\d.]+)(?:, this one)? \| (\d+) \|$",
        (ROOT / "docs/upgrading.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
)
IMAGES = [
    "docker-compose.yml",
    *(str(one.relative_to(ROOT)) for one in ROOT.glob("deploy/kubernetes/*/*.yaml")),
]


def test_the_page_on_upgrades_has_the_format_of_this_version_and_of_the_last_release() -> None:
    assert FORMATS[VERSION] == str(FORMAT)
    assert last_release.VERSION in FORMATS
    assert (FORMATS[last_release.VERSION] == FORMATS[VERSION]) or last_release.VERSION != VERSION


def test_each_version_has_its_changes_the_latest_first_and_a_format_is_told_where_it_changed() -> None:
    sections = re.split(r"^## \[([\d.]+)\].*$", CHANGES, flags=re.MULTILINE)[1:]
    told = dict(zip(sections[::2], sections[1::2], strict=True))
    assert next(iter(told)) == VERSION
    assert {
        version: f"format {number}" in told[version] for version, number in FORMATS.items()
    } == dict.fromkeys(FORMATS, True)


@pytest.mark.parametrize("page", IMAGES)
def test_images_are_of_this_version(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert set(re.findall(r"(?:image: tidegate:|newTag: )(\S+)", text)) <= {VERSION}
