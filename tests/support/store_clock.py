"""The store's scripts as tests change them: a clock that can be set, few leases, longer waits for gates."""

from collections.abc import Callable

import pytest

from app.store import session
from tests.support.deliver import Gate
from tests.support.servers import StoreServer

_READ = "local time = redis.call('TIME')"
_SHIFTED = f"{_READ}; time[1] = time[1] + (redis.call('GET', PREFIX .. ':offset') or 0)"
KEPT_SECONDS = 600


def let_clocks_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the scripts of sessions that are opened from now on go by a clock that can be set."""
    scripts = _changed(monkeypatch, _READ, _SHIFTED)
    assert all(_SHIFTED in text for text in scripts.values())


def let_leases_be_few(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Make the scripts of sessions that are opened from now on refuse more than so many leases."""
    few = f"local MOST_LEASES = {most}\n"
    assert few in _changed(monkeypatch, "local MOST_LEASES = 64\n", few)["lease_transactions"]


def let_gates_be_waited_for(monkeypatch: pytest.MonkeyPatch, milliseconds: int) -> None:
    """Make the scripts of sessions that are opened from now on wait so long for gates to come back."""
    patient = f"local GONE_MS = {milliseconds} "
    assert patient in _changed(monkeypatch, "local GONE_MS = 5000 ", patient)["sizes"]


def _changed(monkeypatch: pytest.MonkeyPatch, text: str, other: str) -> dict[str, str]:
    """Change a text in all scripts, beside what was changed before; returns them."""
    load = session.load_scripts  # type: ignore[attr-defined]  # it is imported there, and only there replaced
    scripts = {name: script.replace(text, other) for name, script in load().items()}
    monkeypatch.setattr(session, "load_scripts", lambda: scripts)
    return scripts


class StoreClock:
    """The clocks of some partitions; so far ahead of the server's that keys do not expire when set back."""

    def __init__(self, store: StoreServer, prefixes: tuple[str, ...], ahead_seconds: int = 3600) -> None:
        self._client = store.client()
        self._node = store.nodes()[0]
        self._prefixes = prefixes
        self.ahead_seconds = ahead_seconds
        self.move(0)

    def move(self, seconds: int) -> None:
        """Move all clocks by so many seconds, forth or back."""
        self.ahead_seconds += seconds
        for prefix in self._prefixes:
            self._client.set(f"{prefix}:offset", self.ahead_seconds, ex=KEPT_SECONDS)

    def now_ms(self) -> int:
        """Read the clock; the servers of a Cluster here share that of this machine."""
        seconds, microseconds = self._node.time()
        return (int(seconds) + self.ahead_seconds) * 1000 + int(microseconds) // 1000

    def close(self) -> None:
        """Close its connections."""
        self._client.close()
        self._node.close()


Clocks = Callable[[StoreServer, Gate], StoreClock]
"""Makes the clock of a gate's store one that can be set; what the fixture `clocks` is."""
