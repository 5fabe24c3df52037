"""The store's Lua scripts, put together from their files and parts, and how one is called."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any

from app.errors import StoreDenied
from app.store.partitions import ledger_key
from app.store.server_identity import Servers
from app.store.shared_connection import Link, ReplyError
from app.store.store_errors import StoreWithoutCommand

SCRIPTS = (
    "claim",
    "lookup",
    "deliverers",
    "late",
    "read_blocks",
    "find_position",
    "lease_transactions",
    "commit_lease",
    "seek_consumer",
    "consumers",
    "forget_consumer",
    "sizes",
    "cleanup",
    "settings",
    "add_history",
    "read_history",
    "lock",
)
FORMAT_1_SCRIPTS = {
    "claim": ("buckets", "what_is_due", "filling", "acceptances", "sightings"),
    "lookup": ("buckets",),
}
"""Scripts of format 1, by what they are called here, with their parts: see `OlderFormat`.

Their files in lua/format_1/ are those of the last version that had this format, unchanged.
"""
READ_BLOCKS = frozenset({"lookup", "read_blocks", "lease_transactions", "lookup_format_1"})
"""Names of scripts that answer with blocks."""
FOR_READERS = frozenset(
    {
        *("read_blocks", "find_position", "lease_transactions", "commit_lease"),
        *("seek_consumer", "consumers", "forget_consumer"),
    }
)
"""Names of scripts of streams and consumers; a store that refuses what they need still takes claims."""
FOR_REPORTS = frozenset({"add_history", "read_history"})
"""Names of scripts of the reports' samples; likewise."""
LOST_WITHOUT = {
    **dict.fromkeys(FOR_READERS, "readers cannot be served"),
    **dict.fromkeys(FOR_REPORTS, "samples for reports cannot be kept"),
}
"""What a gate has to do without while a script is refused; without another it cannot take transactions in."""
_REFUSED_BY_REDIS_7 = "can't run this command or subcommand"
_UNKNOWN = re.compile(r"[Uu]nknown (Redis |Valkey )?command called from script")
_TRIED = re.compile(r" \[([A-Z]+)\]$")
_LINE = re.compile(r"user_script:(\d+)")
_COMMAND = re.compile(r"\('([A-Z]+)'")
_USE = re.compile(r"^ *-- @use (\w+)$", re.MULTILINE)


@cache
def load_scripts() -> Mapping[str, str]:
    """Read the full text of each script, by its name; those of format 1 end in `_format_1`.

    Each begins with the part `prelude`. In a script or part, a line `-- @use buckets` stands for the text of
    parts/buckets.lua. The server builds every function of a script anew at each call, or when it comes to the
    block that the line is in: so a script uses only what it needs, and where it needs it.
    """
    folder = files("app.store") / "lua"

    @cache  # most parts are used by many scripts
    def text(path: str) -> str:
        own = (folder / f"{path}.lua").read_text(encoding="utf-8")
        return _USE.sub(lambda use: text(f"parts/{use[1]}"), own)

    def text_in_format_1(name: str, parts: Sequence[str]) -> str:
        used = ("prelude", *parts, name)
        return text("parts/unless_taken_over") + "".join(text(f"format_1/{part}") for part in used)

    ours = {name: text("parts/prelude") + text(name) for name in SCRIPTS}
    older = {f"{name}_format_1": text_in_format_1(name, parts) for name, parts in FORMAT_1_SCRIPTS.items()}
    return ours | older


class Script:
    """A script of the store: called by its digest, and by its text where the server has not loaded it.

    The text loads it as well. Loading it first and calling it then would fail when `SCRIPT FLUSH` comes
    between.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._digest = sha1(text.encode(), usedforsecurity=False).hexdigest()

    async def run(
        self,
        servers: Servers,
        prefix: str,
        args: Sequence[bytes | str | int],
        carriers: set[Link] | None = None,
    ) -> Any:
        """Call the script on the partition of `prefix`; raises what `Servers.call` does, or StoreDenied."""
        declared = ledger_key(prefix)
        try:
            return await servers.call(prefix, "EVALSHA", self._digest, 1, declared, *args, carriers=carriers)
        except ReplyError as error:
            if not str(error).startswith("NOSCRIPT"):
                raise self._named(error) from error
        try:
            return await servers.call(prefix, "EVAL", self._text, 1, declared, *args, carriers=carriers)
        except ReplyError as error:
            raise self._named(error) from error

    def _named(self, error: ReplyError) -> Exception:
        """Name the command that is refused where the server does not.

        Redis 7.0 says `ERR The user executing the script can't run this command or subcommand script: …, on
        @user_script:9.`, and servers say likewise `Unknown command called from script` of one that was
        renamed: the command is on line 9 of the text. What sizes.lua has tried stands at the end: `… [HSET]`.
        """
        text = str(error)
        is_unknown = _UNKNOWN.search(text) is not None
        if not is_unknown and _REFUSED_BY_REDIS_7 not in text:
            return error
        line = _LINE.search(text)
        where = self._text.splitlines()[int(line[1]) - 1] if line else ""
        found = _TRIED.search(text) or _COMMAND.search(where)
        return (StoreWithoutCommand if is_unknown else StoreDenied)(text, found[1] if found else None)
