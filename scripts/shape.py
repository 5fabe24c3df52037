"""Check the shape of the code: short files and functions, few layers, short ways from import to import."""

import ast
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from statistics import median

import grimp

FILE_LINES = 300
LONGER_FILES = {
    "app/errors.py": (400, "one tree of all errors that are answered, which the docstring draws"),
    "app/metrics/catalogue.py": (400, "one list of all metrics that are counted"),
    "app/runtime.py": (360, "one list of all parts of a gate, in the order in which one needs another"),
    "app/settings/model.py": (400, "one list of all settings, each with its bounds and sentence"),
}
"""Files of one subject that grows with each change of its kind: the most lines, and the reason."""
MEDIAN_LINES = 10
LONG_FUNCTION_LINES = 40
ROOT_MODULES = 9
LAYERS = 18
CHAIN_MODULES = 12
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


def root_modules() -> list[str]:
    """The modules that lie in no room."""
    return sorted(path.stem for path in Path("app").glob("*.py") if path.name != "__init__.py")


def layers() -> list[str]:
    """The layers of import-linter's contract, from above."""
    contracts = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    return list(contracts["contracts"][0]["layers"])


def imports_of(package: str) -> dict[str, list[str]]:
    """What each module of the package imports directly of the package."""
    graph = grimp.build_graph(package, cache_dir=None)
    return {name: sorted(graph.find_modules_directly_imported_by(name)) for name in graph.modules}


def longest_chain(imports: Mapping[str, list[str]]) -> list[str]:
    """The longest chain of modules of which each imports the next; the layers keep it free of cycles."""

    @cache
    def chain(module: str) -> list[str]:
        return [module, *max(map(chain, imports[module]), key=len, default=[])]

    return max(map(chain, imports), key=len)


def complaints_of_structure(chain: list[str]) -> Iterator[str]:
    """What makes the app hard to find one's way in, a line each."""
    if len(chain) > CHAIN_MODULES:
        way = " → ".join(module.removeprefix("app.") for module in chain)
        yield f"app: a chain of imports has {len(chain)} modules, at most {CHAIN_MODULES} allowed: {way}"
    if len(root_modules()) > ROOT_MODULES:
        yield f"app: {len(root_modules())} modules in no room, at most {ROOT_MODULES} allowed"
    if len(layers()) > LAYERS:
        yield f"pyproject.toml: {len(layers())} layers, at most {LAYERS} allowed"


def complaints_of_exceptions(lines: Mapping[Path, int]) -> Iterator[str]:
    """Which exceptions are for no file, a line each."""
    for name in LONGER_FILES:
        if Path(name) not in lines:
            yield f"scripts/shape.py: there is no {name}, which may be longer than {FILE_LINES} lines"


def complaints(lines: Mapping[Path, int], middle: float) -> Iterator[str]:
    """What breaks the rules, a line each."""
    for path, count in lines.items():
        most, _ = LONGER_FILES.get(path.as_posix(), (FILE_LINES, ""))
        if count > most:
            yield f"{path}: {count} lines, at most {most} allowed"
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
    lines = {path: line_count(path) for path in sources("app", "tests", "tidegate")}
    if not lines:
        print("shape: no sources here; run it from the repository's root")
        return 1
    lengths = [length for path in sources("app") if path.suffix == ".py" for length in function_lengths(path)]
    middle = median(lengths) if lengths else 0
    chain = longest_chain(imports_of("app"))
    wrong = [*complaints(lines, middle), *complaints_of_exceptions(lines), *complaints_of_structure(chain)]
    structure = f"chain of {len(chain)} imports, {len(layers())} layers, {len(root_modules())} root modules"
    print(*wrong, f"{summary(lines, lengths, middle)}; {structure}", sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
