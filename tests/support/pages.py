"""Reads pages, examples and links of the documentation, and compares outputs by their shape."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("benchmarks/*.md")])
PROJECT = "https://github.com/tidegate/tidegate/"
"""Where pages link to that are served without the rest of the documentation, as runbooks are."""
ANYTHING = "…"
# Numbers that are the point of an example; of all others only the kind counts.
EXACT = frozenset(
    {"accepted", "duplicate", "invalid", "skipped", "duplicates", "index", "slot", "status", "fee"}
)

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE_CODE = re.compile(r"`[^`\n]+`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_ON_THE_WEB = re.compile(re.escape(PROJECT) + "(?:blob|tree)/main/(.+)")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
_FIGURE = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:%| (?:B|KiB|MiB|GiB|ms|s)\b)?|(?<=\s)-(?=[,\s]|$)")
_decoder = json.JSONDecoder()


@dataclass(frozen=True)
class Example:
    """A block of commands and what the page says they print: JSON documents first, then text."""

    page: Path
    commands: str
    documents: list[object]
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}: {self.commands.splitlines()[0]}"


def examples(page: Path) -> Iterator[Example]:
    """Every `sh` block of a page, with the output blocks that follow it."""
    content = page.read_text(encoding="utf-8")
    fences = [(match[1], match[2]) for match in _FENCE.finditer(content)]
    for at, (kind, commands) in enumerate(fences):
        if kind != "sh":
            continue
        outputs = _until_sh(fences[at + 1 :])
        documents = [
            document for language, body in outputs if language == "json" for document in _parse(body)
        ]
        yield Example(
            page, commands, documents, "".join(body for language, body in outputs if language == "text")
        )


def split_output(output: str, count: int) -> tuple[list[object], str]:
    """Split `count` JSON documents from the beginning of an output; returns them and the rest."""
    documents, at = [], 0
    for _ in range(count):
        document, end = _decoder.raw_decode(output, len(output) - len(output[at:].lstrip()))
        documents.append(document)
        at = end
    return documents, output[at:]


def figureless(text: str) -> list[str]:
    """The lines of a text with figures replaced by `#` and space made even."""
    return [" ".join(_FIGURE.sub("#", line).split()) for line in text.splitlines() if line.strip()]


def differences(expected: object, actual: object, name: str = "", path: str = "$") -> Iterator[str]:
    """Where an answer has another shape than the page shows."""
    if expected == ANYTHING:
        return
    if isinstance(expected, dict) and isinstance(actual, dict):
        yield from _member_differences(expected, actual, path)
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for at, (one, other) in enumerate(zip(expected, actual, strict=True)):
            yield from differences(one, other, name, f"{path}[{at}]")
    elif _is_figure(expected) and _is_figure(actual) and name not in EXACT:
        return
    elif isinstance(expected, str) and isinstance(actual, str):
        if not re.fullmatch(".*".join(re.escape(part) for part in expected.split(ANYTHING)), actual):
            yield f"{path}: the page says {expected!r}, the gate {actual!r}"
    elif expected != actual:
        yield f"{path}: the page says {expected!r}, the gate {actual!r}"


def links(page: Path) -> Iterator[str]:
    """Targets of the page's links, but for other sites than the project's."""
    prose = _INLINE_CODE.sub("", _FENCE.sub("", page.read_text(encoding="utf-8")))
    yield from (
        target for target in _LINK.findall(prose) if "://" not in target or target.startswith(PROJECT)
    )


def leads_somewhere(page: Path, target: str) -> bool:
    """Tell whether a link of the page leads to a file, or folder, and a heading that exist."""
    place, _, anchor = unquote(target).partition("#")
    on_the_web = _ON_THE_WEB.fullmatch(place)
    if place.startswith(PROJECT) and on_the_web is None:
        return False
    file = ROOT / on_the_web[1] if on_the_web else (page.parent / place).resolve() if place else page
    return file.exists() and (not anchor or anchor in anchors(file))


def anchors(page: Path) -> set[str]:
    """What can be linked to inside a page, by GitHub's rule."""
    headings = _HEADING.findall(_FENCE.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _until_sh(fences: list[tuple[str, str]]) -> list[tuple[str, str]]:
    following = [kind for kind, _ in fences]
    return fences[: following.index("sh")] if "sh" in following else fences


def _parse(text: str) -> list[object]:
    documents, rest = [], text
    while rest.strip():
        [document], rest = split_output(rest, 1)
        documents.append(document)
    return documents


def _member_differences(expected: dict[str, object], actual: dict[str, object], path: str) -> Iterator[str]:
    missing = expected.keys() - actual.keys() - {ANYTHING}
    unsaid = set() if ANYTHING in expected else actual.keys() - expected.keys()
    if missing or unsaid:
        yield f"{path}: members only on the page {sorted(missing)}, only from the gate {sorted(unsaid)}"
    for name in expected.keys() & actual.keys():
        yield from differences(expected[name], actual[name], name, f"{path}.{name}")


def _is_figure(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
