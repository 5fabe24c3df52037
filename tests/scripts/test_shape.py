"""The shape of the code is checked: a file has 300 lines, or as many as its exception allows."""

from pathlib import Path

import pytest

from scripts.shape import FILE_LINES, LONGER_FILES, complaints, complaints_of_exceptions

SETTINGS = Path("app/settings/model.py")


def test_a_file_may_have_300_lines_and_no_more() -> None:
    assert list(complaints({Path("app/auth.py"): FILE_LINES}, 5)) == []
    assert list(complaints({Path("app/auth.py"): FILE_LINES + 1}, 5)) == [
        "app/auth.py: 301 lines, at most 300 allowed"
    ]


def test_a_file_that_is_one_growing_list_may_have_more_up_to_a_bound_of_its_own() -> None:
    most, reason = LONGER_FILES[str(SETTINGS)]
    assert most > FILE_LINES
    assert reason
    assert list(complaints({SETTINGS: most}, 5)) == []
    assert list(complaints({SETTINGS: most + 1}, 5)) == [
        f"app/settings/model.py: {most + 1} lines, at most {most} allowed"
    ]


def test_an_exception_for_a_file_that_is_gone_is_found() -> None:
    lines = dict.fromkeys(map(Path, LONGER_FILES), FILE_LINES)
    assert list(complaints_of_exceptions(lines)) == []
    del lines[SETTINGS]
    assert list(complaints_of_exceptions(lines)) == [
        "scripts/shape.py: there is no app/settings/model.py, which may be longer than 300 lines"
    ]


@pytest.mark.parametrize("file", LONGER_FILES)
def test_an_exception_leaves_room_for_the_next_change(file: str) -> None:
    length = len((Path(__file__).parents[2] / file).read_text(encoding="utf-8").splitlines())
    assert length + 10 <= LONGER_FILES[file][0]
