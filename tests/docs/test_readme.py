"""The documentation does not lie: its examples print what it says, and its links lead somewhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli.serve import greeting
from app.settings.model import Settings
from tests.support.gate import GateProcess, gate_process, tidegate_command
from tests.support.pages import (
    PAGES,
    ROOT,
    Example,
    differences,
    examples,
    figureless,
    leads_somewhere,
    links,
    split_output,
)

ADDRESS = "http://127.0.0.1:8000"
# Pages whose first block names the gate's address for all that follow, and the settings they ask for.
TOURS: dict[str, dict[str, object]] = {
    "README.md": {},
    "docs/feeds-guide.md": {},
    "docs/consumers.md": {},
    "docs/feeds.md": {"feeds_file": ROOT / "docs" / "examples" / "feeds.toml"},
}
# Longer than the default, so that a duplicate stays one on a slow machine.
WINDOW_SECONDS = 60
TOKEN = "one-that-may-all"


def _run(example: Example, gate: GateProcess, before: str = "", token: str = "") -> str:
    """What the commands print, run after others that set variables for them."""
    commands = before + example.commands
    for written, meant in (
        (ADDRESS, gate.url),
        (".venv/bin/tidegate", tidegate_command()),
        ("python3 ", f"{sys.executable} "),
    ):
        commands = commands.replace(written, meant)
    environment = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    environment |= {"TIDEGATE_TOKEN": token}
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
    # The pages show a machine on which no control group has a limit.
    return done.stdout.replace("(cgroup)", "(machine)").replace('"cgroup"', '"machine"')


def _check(example: Example, output: str) -> None:
    documents, rest = split_output(output, len(example.documents))
    pairs = zip(example.documents, documents, strict=True)
    wrong = [line for expected, actual in pairs for line in differences(expected, actual)]
    assert not wrong, f"{example}\n" + "\n".join(wrong)
    assert figureless(rest) == figureless(example.text), str(example)


def test_the_examples_of_the_http_page_print_what_it_says() -> None:
    found = list(examples(ROOT / "docs/http.md"))
    assert found
    with gate_process(dedup_window_seconds=WINDOW_SECONDS) as gate:
        for example in found:
            assert example.documents or example.text, f"{example}: no output is shown"
            _check(example, _run(example, gate))


@pytest.mark.parametrize(("page", "token"), [("README.md", ""), *((page, TOKEN) for page in TOURS)])
def test_the_tour_prints_what_it_says_on_any_port_and_with_tokens(page: str, token: str) -> None:
    """The gate is on a port of its own; all the tour is told of it is the one address in its first block."""
    top, *tour = examples(ROOT / page)
    assert ADDRESS in top.commands
    assert not any(ADDRESS in example.commands for example in tour)
    tokens = {"ingest_tokens": token, "admin_tokens": token} if token else {}
    with gate_process(dedup_window_seconds=WINDOW_SECONDS, **tokens, **TOURS[page]) as gate:
        for example in tour:
            assert example.documents or example.text, f"{example}: no output is shown"
            output = _run(example, gate, before=top.commands, token=token)
            assert output.endswith("\n"), f"{example}: the prompt would follow the answer on its line"
            _check(example, output)


def test_the_readme_shows_the_greeting_as_it_is() -> None:
    assert greeting(Settings(), 8000, "embedded Valkey") in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_can_be_read_in_one_go() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 250


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_a_heading_that_exist(page: Path) -> None:
    assert [target for target in links(page) if not leads_somewhere(page, target)] == []


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
