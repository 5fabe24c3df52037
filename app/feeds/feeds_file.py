"""Reads `TIDEGATE_FEEDS_FILE`: who signs with which secrets, at which rate, and what is skipped or mapped.

    [feeds.quicknode-a]
    hmac = "quicknode"
    secrets_file = "/run/secrets/quicknode-a"     # one a line; each of them is valid
    skip = ["votes", "failed"]
    transactions_per_second = 5000

    [feeds.evm]
    shape = "mapped"
    items = "/logs"
    signature = "/transactionHash"
    slot = "/blockNumber"

Feeds need not be declared: one that is not is let in with a token, has no limit and skips nothing.

This reads the file once. That it is read again when it has changed is up to feeds_in_force.py.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from app.decode.error_messages import quoted
from app.errors import ConfigError
from app.feeds.feed import Feed, is_feed_name
from app.feeds.feeds_file_table import KEYS, Declaration
from app.feeds.toml_lines import KeyLines
from app.feeds.webhook_hmac import SCHEMES, BodySignature
from app.models import SOURCE_RULE
from app.settings.secret_files import MOST_BYTES, file_mark, read_file, secret_lines

MOST_FEEDS: Final = 1024
MOST_SECRETS: Final = 16
MOST_TOLD: Final = 10
MOST_NAMED: Final = 5
_COMPARED_CHARACTERS: Final = 64
_LINE = re.compile(r" \(at line (\d+), column \d+\)$")
_DECLARED_TWICE = re.compile(r"Cannot declare \('feeds', (['\"])(.*)\1\) twice")


class Problem(NamedTuple):
    """What is wrong, and on which line of the feeds file."""

    line: int
    sentence: str


class FeedsFileError(ConfigError, ValueError):
    """The feeds file cannot be used; `str()` names it, and each problem with its line."""

    def __init__(self, file: Path, problems: list[Problem]) -> None:
        self.file, self.problems = file, sorted(problems)
        told = [f"line {line}: {sentence}" if line else sentence for line, sentence in self.problems]
        more = f"; and {len(told) - MOST_TOLD} more" if len(told) > MOST_TOLD else ""
        super().__init__(f"{file}: {'; '.join(told[:MOST_TOLD])}{more}")


class Feeds:
    """All feeds: those that the file declares, and as many others as there are names."""

    def __init__(
        self,
        declared: Mapping[str, Feed] | None = None,
        marks: Mapping[Path, tuple[int, ...]] | None = None,
    ) -> None:
        self.declared: Mapping[str, Feed] = declared or {}
        self._marks = marks or {}

    def get(self, name: str) -> Feed:
        """Return a feed; one that is not declared has the defaults."""
        return self.declared.get(name) or Feed(name)

    def warning_if_open(self) -> str | None:
        """Return what to warn of where no ingest token is set, None when no feed is signed.

        A signature guards its own feed. Whoever does not know the secret of `/feeds/quicknode-a` posts to
        `/feeds/anything` instead, and what is stored there is a duplicate when `quicknode-a` delivers it.
        """
        signed = [name for name, feed in self.declared.items() if feed.signature is not None]
        if not signed:
            return None
        more = f" and {len(signed) - MOST_NAMED} more" if len(signed) > MOST_NAMED else ""
        return (
            f"Feeds are signed ({', '.join(signed[:MOST_NAMED])}{more}), but no ingest token is set: anybody "
            "who reaches the gate can post to any other feed and to /transactions. "
            "Set TIDEGATE_INGEST_TOKENS, or TIDEGATE_INGEST_TOKENS_FILE."
        )

    def is_current(self) -> bool:
        """Whether neither the file nor a file of secrets has changed since they were read."""
        return all(file_mark(file) == mark for file, mark in self._marks.items())


def load_feeds(file: Path, *, again: bool = False) -> Feeds:
    """Read the feeds file and the files of secrets that it names, which may be named relative to it.

    Only when they are read for the first time, and by nobody else, may one of them be a pipe.

    Raises:
        FeedsFileError: one of them cannot be read, or something in them is wrong.
    """
    return _Reader(file, again).read()


class _Reader:
    """Reads one file, and gathers all that is wrong in it."""

    def __init__(self, file: Path, again: bool) -> None:
        self._file, self._again = file, again
        self._text = ""
        self._lines: KeyLines | None = None
        self._problems: list[Problem] = []
        self._marks: dict[Path, tuple[int, ...]] = {}

    def read(self) -> Feeds:
        tables = self._tables()
        feeds = {name: feed for name, table in tables.items() if (feed := self._feed(name, table))}
        if self._problems:
            raise FeedsFileError(self._file, self._problems)
        return Feeds(feeds, self._marks)

    def _refuse(self, sentence: str, *path: str) -> None:
        """Note what is wrong with the keys at this path; without one it is the file as a whole."""
        self._lines = self._lines or KeyLines(self._text)
        self._problems.append(Problem(self._lines.line_of(path) if path else 0, sentence))

    def _tables(self) -> dict[str, Any]:
        """Return what stands below `feeds`, by the names of the feeds."""
        document = self._document()
        for key in document.keys() - {"feeds"}:
            self._refuse(f"unknown table or key {quoted(key)}; {_advice(key, ('feeds',))}", key)
        tables = document.get("feeds", {})
        if not isinstance(tables, dict):
            self._refuse("feeds must be a table of feeds, as [feeds.helius-a] begins one", "feeds")
            return {}
        if len(tables) > MOST_FEEDS:
            self._refuse(f"it declares {len(tables)} feeds, and may declare {MOST_FEEDS}")
            return {}
        return tables

    def _document(self) -> dict[str, Any]:
        self._marks[self._file] = file_mark(self._file)
        try:
            content = read_file(self._file, again=self._again)
            self._text = content.decode("utf-8-sig")
            if len(content) <= MOST_BYTES:
                return tomllib.loads(self._text)
            problem = Problem(0, f"it is longer than {MOST_BYTES} bytes")
        except ConfigError as error:
            problem = Problem(0, f"it cannot be read: {error}")
        except UnicodeDecodeError as error:
            problem = Problem(content.count(b"\n", 0, error.start) + 1, "it is not UTF-8")
        except tomllib.TOMLDecodeError as error:
            problem = _syntax_problem(str(error), self._text)
        except RecursionError:
            problem = Problem(0, "its arrays or tables are nested too deep")
        raise FeedsFileError(self._file, [problem])

    def _feed(self, name: str, table: object) -> Feed | None:
        """Return the feed, or None when something is wrong with it."""
        if not is_feed_name(name):
            self._refuse(
                f"{quoted(name)} cannot be the name of a feed, which is {SOURCE_RULE}", "feeds", name
            )
            return None
        try:
            declared = Declaration.model_validate(table)
        except ValidationError as error:
            for item in error.errors(include_url=False):
                self._refuse(_sentence(name, item), "feeds", name, *_key_of(item))
            return None
        conflicts = list(declared.conflicts())
        for key, sentence in conflicts:
            self._refuse(f"feed {name}: {key} {sentence}", "feeds", name, key)
        if conflicts:
            return None
        return Feed(
            name,
            self._signature(name, declared),
            declared.hmac_over == "inflated",
            declared.rules,
            declared.transactions_per_second,
        )

    def _signature(self, name: str, declared: Declaration) -> BodySignature | None:
        if declared.hmac is None or declared.secrets_file is None:
            return None
        secrets, scheme = self._file.parent / declared.secrets_file, SCHEMES[declared.hmac]
        # Two feeds may name one file: what was there before the first reading tells of a change after it.
        self._marks.setdefault(secrets, file_mark(secrets))
        try:
            keys = _keys(secret_lines(secrets, again=self._again), secrets, scheme.key)
        except ConfigError as error:
            self._refuse(f"feed {name}: {error}", "feeds", name, "secrets_file")
            return None
        return BodySignature(scheme, keys, declared.max_age_seconds)


def _keys(lines: Iterable[bytes], secrets: Path, key: Callable[[bytes], bytes]) -> list[bytes]:
    """Return the keys in the lines of a file of secrets, of which those that begin with `#` hold none."""
    lines = [line for line in lines if not line.startswith(b"#")]
    if not lines:
        raise ConfigError(f"{secrets} holds no secret")
    if len(lines) > MOST_SECRETS:
        raise ConfigError(f"{secrets} holds {len(lines)} secrets, and may hold {MOST_SECRETS}")
    return [_key(line, number, secrets, key) for number, line in enumerate(lines, start=1)]


def _key(line: bytes, number: int, secrets: Path, key: Callable[[bytes], bytes]) -> bytes:
    try:
        return key(line)
    except ValueError as error:
        raise ConfigError(f"secret {number} in {secrets} {error}") from None


def _syntax_problem(message: str, text: str) -> Problem:
    """Tell what Python's parser found, such as `Invalid value (at line 3, column 8)`."""
    found = _LINE.search(message)
    # Otherwise it ends with `(at end of document)`.
    line = int(found[1]) if found else text.rstrip().count("\n") + 1
    twice = _DECLARED_TWICE.match(message)
    if twice:
        return Problem(line, f"feed {twice[2]} is declared a second time")
    what = _LINE.sub("", message)
    return Problem(line, f"this is not TOML: {what[0].lower()}{what[1:]}")


def _key_of(item: ErrorDetails) -> tuple[str, ...]:
    """The key of the table that pydantic complains about; it may go on with a place in a list."""
    return tuple(str(part) for part in item["loc"][:1])


def _sentence(name: str, item: ErrorDetails) -> str:
    where = "".join(f"{key}: " for key in _key_of(item))
    if item["type"] == "extra_forbidden":
        key = str(item["loc"][0])
        if isinstance(item["input"], dict):  # from [feeds.quicknode.a]
            whole = f"{name}.{key}"
            return f'feed {name}: unknown table {quoted(whole)}; a dot in a name needs quotes: [feeds."NAME"]'
        return f"feed {name}: unknown key {quoted(key)}; {_advice(key, KEYS)}"
    if item["type"] == "model_type":
        return f"feed {name} must be a table, as [feeds.{name}] begins one"
    if item["type"] == "list_type":
        return f'feed {name}: {where}should be a list, as in ["votes"]'
    message = str(item["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return f"feed {name}: {where}{message[0].lower()}{message[1:]}"


def _advice(key: str, known: Sequence[str]) -> str:
    close = get_close_matches(key[:_COMPARED_CHARACTERS], known, n=1)
    return f"did you mean {close[0]}?" if close else f"there is {', '.join(known)}"
