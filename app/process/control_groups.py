"""The control group that bounds our memory: version 2, else version 1 (Linux `cgroups(7)`)."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.process.resident_memory import machine_bytes

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


@dataclass(frozen=True)
class _Version:
    """Where one version of control groups mounts the memory controller, and how its files are named."""

    controller: str
    mounts: tuple[str, ...]
    limit: str
    usage: str
    file_cache: frozenset[str]
    """Lines of `memory.stat`, in bytes, that count cached pages of files."""


# The kernel gives up either before it kills. Pages of a tmpfs are in neither: they cannot be given up.
_FILE_CACHE = frozenset({"active_file", "inactive_file"})
_VERSIONS = (
    _Version("", ("", "unified"), "memory.max", "memory.current", _FILE_CACHE),
    _Version(
        "memory",
        ("memory",),
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        frozenset(f"total_{name}" for name in _FILE_CACHE),
    ),
)


@dataclass(frozen=True)
class Cgroup:
    """The group with the lowest limit among ours and those around it."""

    folder: Path
    limit_bytes: int
    _version: _Version

    def usage_bytes(self) -> int:
        """Read what counts against the limit, without the file cache, which the kernel gives up when short.

        A gate that has read a large file (its own log, say) is not near its limit for it.

        Raises:
            OSError: it cannot be read.
            ValueError: what was read is not a number.
        """
        usage = int((self.folder / self._version.usage).read_text(encoding="utf-8"))
        return max(0, usage - self._file_cache_bytes())

    def _file_cache_bytes(self) -> int:
        figures = (
            line.split() for line in (self.folder / "memory.stat").read_text(encoding="utf-8").splitlines()
        )
        return sum(int(value) for name, value in figures if name in self._version.file_cache)


def find_cgroup(root: Path = ROOT, membership: Path = MEMBERSHIP) -> Cgroup | None:
    """Find the group whose limit binds this process; None when none does, or none can be read.

    A limit above the memory of the machine binds nobody. Version 1 writes "no limit" as a number near 2**63,
    version 2 as "max".
    """
    found = [group for version in _VERSIONS for group in _limited(version, root, membership)]
    return min(found, key=lambda group: group.limit_bytes, default=None)


def _limited(version: _Version, root: Path, membership: Path) -> Iterator[Cgroup]:
    for folder in _folders(version, root, membership):
        try:
            limit = int((folder / version.limit).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if 0 < limit <= machine_bytes():
            yield Cgroup(folder, limit, version)


def _folders(version: _Version, root: Path, membership: Path) -> Iterator[Path]:
    """Yield our group and all around it; in a container its path may lie outside of what is mounted."""
    path = _path(version.controller, membership)
    if path is None:
        return
    for mount in (root / name for name in version.mounts):
        folder = mount / path.lstrip("/")
        yield from (folder, *(parent for parent in folder.parents if parent.is_relative_to(mount)))


def _path(controller: str, membership: Path) -> str | None:
    """Return the path of our line, `hierarchy:controllers:path`; None without one."""
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return path
    return None
