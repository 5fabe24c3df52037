"""The control group that bounds our memory: version 2, else version 1 (Linux `cgroups(7)`)."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
# Version 1 writes "no limit" as a number near 2**63, version 2 as "max".
_NO_LIMIT_BYTES = 1 << 60


@dataclass(frozen=True)
class _Version:
    """Names of the files, and where the hierarchy of the memory controller may be mounted."""

    controller: str
    mounts: tuple[str, ...]
    limit: str
    usage: str
    inactive_file: str


_VERSIONS = (
    _Version("", ("", "unified"), "memory.max", "memory.current", "inactive_file"),
    _Version("memory", ("memory",), "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


@dataclass(frozen=True)
class Cgroup:
    """The group with the lowest limit among ours and those around it."""

    folder: Path
    limit_bytes: int
    _version: _Version

    def usage_bytes(self) -> int:
        """What counts against the limit, less file cache that would be given up first (as the kubelet does).

        Raises:
            OSError: it cannot be read.
            ValueError: what was read is not a number.
        """
        usage = int((self.folder / self._version.usage).read_text(encoding="utf-8"))
        return max(0, usage - self._inactive_file_bytes())

    def _inactive_file_bytes(self) -> int:
        for line in (self.folder / "memory.stat").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(" ")
            if name == self._version.inactive_file:
                return int(value)
        return 0


def find_cgroup(root: Path = ROOT, membership: Path = MEMBERSHIP) -> Cgroup | None:
    """The group whose limit binds this process; None when none does, or none can be read."""
    found = [group for version in _VERSIONS for group in _limited(version, root, membership)]
    return min(found, key=lambda group: group.limit_bytes, default=None)


def _limited(version: _Version, root: Path, membership: Path) -> Iterator[Cgroup]:
    for folder in _folders(version, root, membership):
        try:
            limit = int((folder / version.limit).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if 0 < limit < _NO_LIMIT_BYTES:
            yield Cgroup(folder, limit, version)


def _folders(version: _Version, root: Path, membership: Path) -> Iterator[Path]:
    """Our group and all around it; in a container its path may lie outside of what is mounted."""
    path = _path(version.controller, membership)
    if path is None:
        return
    for mount in (root / name for name in version.mounts):
        folder = mount / path.lstrip("/")
        yield from (folder, *(parent for parent in folder.parents if parent.is_relative_to(mount)))


def _path(controller: str, membership: Path) -> str | None:
    """The third field of our line, `hierarchy:controllers:path`."""
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return path
    return None
