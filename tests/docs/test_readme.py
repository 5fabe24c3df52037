"""The documentation does not lie: its examples print what it says, and its links lead somewhere."""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs.pages import (
    PAGES,
    ROOT,
    Example,
    anchors,
    differences,
    examples,
    figureless,
    links,
    split_output,
)
from tests.support.gate import GateProcess, gate_process, tidegate_command

ADDRESS = "http://127.0.0.1:8000"
# Longer than the default, so that a duplicate stays one on a slow machine.
WINDOW_SECONDS = 60


def _run(example: Example, gate: GateProcess) -> str:
    commands = example.commands
    for written, meant in (
        (ADDRESS, gate.url),
        (".venv/bin/tidegate", tidegate_command()),
        ("python3 ", f"{sys.executable} "),
    ):
        commands = commands.replace(written, meant)
    environment = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    environment |= {"TIDEGATE_URL": gate.url}
    done = subprocess.run(
        ["sh", "-euc", commands],
        check=False,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, f"{example}\n{done.stderr}"
    return done.stdout


def _check(example: Example, output: str) -> None:
    documents, rest = split_output(output, len(example.documents))
    pairs = zip(example.documents, documents, strict=True)
    wrong = [line for expected, actual in pairs for line in differences(expected, actual)]
    assert not wrong, f"{example}\n" + "\n".join(wrong)
    assert figureless(rest) == figureless(example.text), str(example)


@pytest.mark.parametrize("page", ["README.md", "docs/http.md"])
def test_the_examples_of_a_page_print_what_it_says(page: str) -> None:
    found = list(examples(ROOT / page))
    assert found
    with gate_process(dedup_window_seconds=WINDOW_SECONDS) as gate:
        for example in found:
            assert example.documents or example.text, f"{example}: no output is shown"
            _check(example, _run(example, gate))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_a_heading_that_exist(page: Path) -> None:
    for target in links(page):
        place, _, anchor = unquote(target).partition("#")
        file = (page.parent / place).resolve() if place else page
        assert file.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(file), f"{page.name} links to {target}"


@pytest.mark.parametrize(
    ("said", "answered", "is_same"),
    [
        ({"status": "accepted", "first_seen_ms": 1}, {"status": "accepted", "first_seen_ms": 2}, True),
        ({"status": "accepted"}, {"status": "duplicate"}, False),
        ({"duplicate": 1}, {"duplicate": 2}, False),
        ({"before": 1}, {"before": "1"}, False),
        ({"ratio": None}, {"ratio": 1.0}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": 1, "b": 2}, {"a": 1}, False),
        ({"a": 1, "…": "…"}, {"a": 1, "b": 2}, True),
        ({"a": "…"}, {"a": [1]}, True),
        ({"a": "sent to …"}, {"a": "sent to you"}, True),
        ([1, 2], [1], False),
    ],
)
def test_an_answer_is_compared_by_its_shape(said: object, answered: object, is_same: bool) -> None:
    assert (not list(differences(said, answered))) is is_same
