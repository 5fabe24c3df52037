"""Check the shape of the code: short files, short functions, empty `__init__.py` files."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

FILE_LINES = 300
MEDIAN_LINES = 10
LONG_FUNCTION_LINES = 40
SUFFIXES = {".py", ".lua"}


def sources(*folders: str) -> list[Path]:
    """Every source file below the folders."""
    return sorted(path for folder in folders for path in Path(folder).rglob("*") if path.suffix in SUFFIXES)


def line_count(path: Path) -> int:
    """How many lines a file has."""
    return len(path.read_text(encoding="utf-8").splitlines())


def function_lengths(path: Path) -> Iterator[int]:
    """The length of each function and method, from its `def` to its last line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (node.end_lineno or node.lineno) - node.lineno + 1


def complaints(lines: dict[Path, int], middle: float) -> Iterator[str]:
    """What breaks the rules, a line each."""
    for path, count in lines.items():
        if count > FILE_LINES:
            yield f"{path}: {count} lines, at most {FILE_LINES} allowed"
        if path.name == "__init__.py" and path.stat().st_size:
            yield f"{path}: must be empty"
    if middle >= MEDIAN_LINES:
        yield f"app: the median function has {middle:g} lines, has to have fewer than {MEDIAN_LINES}"


def summary(lines: dict[Path, int], lengths: list[int], middle: float) -> str:
    """The whole in one line."""
    longest = max(lines, key=lambda path: lines[path])
    short = sum(length < LONG_FUNCTION_LINES for length in lengths)
    share = 100 * short / len(lengths) if lengths else 100
    return (
        f"shape: {len(lines)} files, longest {longest} ({lines[longest]} lines); "
        f"{len(lengths)} functions in app, median {middle:g} lines, {share:.1f} % under {LONG_FUNCTION_LINES}"
    )


def main() -> int:
    """Print what is wrong and the summary; 1 when something is wrong."""
    lines = {path: line_count(path) for path in sources("app", "tests")}
    if not lines:
        print("shape: no sources here; run it from the repository's root")
        return 1
    lengths = [length for path in sources("app") if path.suffix == ".py" for length in function_lengths(path)]
    middle = median(lengths) if lengths else 0
    wrong = list(complaints(lines, middle))
    print(*wrong, summary(lines, lengths, middle), sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
