"""Docstrings that lean on what was said elsewhere are found."""

from pathlib import Path

import pytest

from scripts.docstrings import pointers


def found(folder: Path, sentence: str) -> list[str]:
    """The docstrings that are listed of a file with this one."""
    (folder / "module.py").write_text(f'def work():\n    """{sentence}"""\n', encoding="utf-8")
    return [docstring.head for docstring in pointers((str(folder),))]


@pytest.mark.parametrize(
    "sentence",
    [
        "The same of each.",
        "As it is stored.",
        "Of a gate without workers.",
        "Take what belongs to it.",
        "Note that it is whole; httptools calls this.",
        "Add to it.",
        "Leave them alone.",
        "Make them of what each partition has.",
        "Return those at these places, in this order.",
        "Tell whether that is a number of partitions.",
        "Transactions it has not delivered since then.",
        "How things are done, as before.",
        "Again for the gate.",
        "Find the route of a request; None when it is one of the others.",
    ],
)
def test_a_sentence_that_points_elsewhere_is_found(tmp_path: Path, sentence: str) -> None:
    assert found(tmp_path, sentence) == [sentence]


@pytest.mark.parametrize(
    "sentence",
    [
        "Remove the directory with all it holds.",
        "Note that the body is whole; httptools calls this.",
        "Slots that somebody moves from one node of a Cluster to another, key by key.",
        "Watch these workers, and no others.",
        "Tidegate as it is shipped, with the embedded store.",
        "Keep one of the sources, as the others have it too.",
    ],
)
def test_a_sentence_with_a_subject_of_its_own_is_fine(tmp_path: Path, sentence: str) -> None:
    assert found(tmp_path, sentence) == []
