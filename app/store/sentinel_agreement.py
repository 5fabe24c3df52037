"""What sentinels say of a service, and what a majority of them vouches for.

Each sentinel pings the primary, and holds it to be down when no answer came for `down-after-milliseconds`, D.
When enough of them do (the quorum), a majority elects one of them, and that one makes a replica the primary.
A sentinel that had an answer x milliseconds ago will not hold the primary to be down before D - x have passed
from now. So what a majority says tells two things: who is the primary, and until when nobody can have been
put into its place. Say D is 5,000 and three sentinels are asked at 09:00:00.0:

    sentinel   names           x     may hold it to be down from
    A          10.0.0.1:6379    90   09:00:04.9
    B          10.0.0.1:6379   700   09:00:04.3
    C          (no answer)

A and B are two of three: they vouch for 10.0.0.1:6379, until 09:00:04.3.

A sentinel vouches for no primary that it holds to be down. While one of them is about to replace the primary,
none does. Of two that name different primaries, that with the higher epoch has the later configuration.
"""

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from time import monotonic
from typing import Any, NamedTuple

from app.errors import StoreDenied, StoreError, StoreNoPrimary, StoreUnreachable, StoreUnsupported
from app.store.store_errors import (
    StoreSentinelsDeny,
    StoreWithoutCommand,
    StoreWithoutService,
    StoreWrongScheme,
)

KEPT_SECONDS = 10.0
"""So long the last report of a sentinel that is silent now speaks against a server.

The others know within two seconds of a primary that it has made, if it reaches them. If it does not, and is
gone, they go on with the primary that they have, and so does the gate."""
SAFE_PART = 0.9  # of D, for the clocks of two machines do not run alike
_UNSOUND = frozenset({"s_down", "o_down", "failover_in_progress"})
_PROMOTED = frozenset({"reconf_slaves", "update_config"})
"""States of a failover in which the replica has taken over, and the configuration has its new epoch."""

Place = tuple[str, int]


class Report(NamedTuple):
    """What one sentinel said of the service."""

    sentinel: bytes
    """The id of this sentinel."""
    asked_at: float
    """The moment at which it was asked, in seconds of the monotonic clock."""
    primary: Place
    epoch: int
    """The number of the configuration that made this server the primary."""
    run_id: str
    """The process that it last saw there; empty if it has seen none yet."""
    is_sound: bool
    """True if it does not hold the primary to be down, or has just made it one."""
    is_replacing: bool
    """True if it is about to make another server the primary."""
    heard_at: float
    """The moment at which it last had an answer of the server at that place, or one before that."""
    holds_until: float
    """Before this moment it does not hold the primary to be down."""
    sentinels: int
    """How many sentinels it knows of, with itself."""


class LatestReports:
    """The last report of each sentinel.

    Say a sentinel has made B the primary in the place of A, says so, and hangs. The others have not heard of
    it, and vouch for A, which has come back. What they say must not count, also for a new connection to A.
    """

    def __init__(self) -> None:
        self._reports: dict[bytes, Report] = {}

    @property
    def is_known(self) -> bool:
        """Whether any sentinel has ever answered."""
        return bool(self._reports)

    def note(self, report: Report) -> None:
        """Keep a report, unless that sentinel was asked later and has answered that already."""
        known = self._reports.get(report.sentinel)
        if known is None or known.asked_at <= report.asked_at:
            since = monotonic() - KEPT_SECONDS
            kept = {name: one for name, one in self._reports.items() if one.asked_at > since}
            self._reports = {**kept, report.sentinel: report}

    def of_others(self, sentinels: Container[bytes]) -> list[Report]:
        """List what all but these said, as far as it is not too old."""
        since = monotonic() - KEPT_SECONDS
        return [
            one for one in self._reports.values() if one.sentinel not in sentinels and one.asked_at > since
        ]


class Agreement(NamedTuple):
    """What a majority of the sentinels vouches for."""

    primary: Place
    holds_until: float
    """Before this moment no other server is made the primary, unless somebody orders it."""
    vouching: Sequence[Report]
    """What each sentinel said that vouches for it."""
    majority: int

    def knows(self, run_id: str) -> bool:
        """Tell whether a majority has seen no other process at that place as the primary."""
        return sum(report.run_id in (run_id, "") for report in self.vouching) >= self.majority

    def has_heard_since(self, moment: float) -> bool:
        """Tell whether a majority has had an answer of that place since then."""
        return sum(report.heard_at > moment for report in self.vouching) >= self.majority


class Failure(NamedTuple):
    """What a sentinel did instead of answering."""

    place: str
    """Host and port of the sentinel, as the log has them."""
    error: StoreError


class Answers(NamedTuple):
    """What came of asking all sentinels once."""

    reports: Sequence[Report]
    """One of each sentinel that answered."""
    failures: Sequence[Failure] = ()
    """One of each that failed to."""
    earlier: Sequence[Report] = ()
    """What each of those last said that have not answered now. It can speak against a server, but not for it:
    they may have replaced it since."""

    @property
    def majority(self) -> int:
        """How many are one, of all that the sentinels know of."""
        return max((report.sentinels for report in self.reports), default=0) // 2 + 1

    @property
    def agreement(self) -> Agreement | None:
        """What a majority vouches for; None if it does for nothing."""
        sound = [report for report in self.reports if report.is_sound and report.primary == self.primary]
        if len(sound) < self.majority or self.is_replacing:
            return None
        until = sorted((report.holds_until for report in sound), reverse=True)[self.majority - 1]
        return Agreement(sound[0].primary, until, sound, self.majority)

    @property
    def primary(self) -> Place | None:
        """The primary of the latest configuration that one of them knows, vouched for or not."""
        latest = self._latest()
        return latest[0].primary if latest else None

    @property
    def is_replacing(self) -> bool:
        """Whether a sentinel is about to make another server the primary.

        One that knows only an earlier configuration was away for a while, and replaces nothing any more.
        """
        return any(report.is_replacing for report in self._latest())

    def _latest(self) -> list[Report]:
        """List who knows the latest configuration, those first that have just said so."""
        told = [*self.reports, *self.earlier]
        epoch = max((report.epoch for report in told), default=0)
        return [report for report in told if report.epoch == epoch]

    def refusal(self) -> StoreError:
        """Make the error that says why there is no agreement: that of most sentinels, if they share one.

        A certificate that is not trusted, say, has a name of its own. That they are silent has none.
        """
        text = "; ".join(f"{place}: {error}" for place, error in self.failures)
        shared = self._shared_failure()
        if shared is StoreDenied:
            return StoreSentinelsDeny(text)
        if shared is StoreWithoutService:
            return shared(text)
        if shared is StoreWithoutCommand:
            return _of_servers(StoreWrongScheme(text))
        if shared is not None and shared is not StoreUnreachable and issubclass(shared, StoreUnreachable):
            return _of_sentinels(shared(text))
        known = max((report.sentinels for report in self.reports), default=0)
        sound = sum(report.is_sound and report.primary == self.primary for report in self.reports)
        said = f"{sound} of {known or 'the'} sentinels vouch for the primary"
        if self.is_replacing:
            said += ", and one is replacing it"
        return StoreNoPrimary(f"{said}; {text}" if text else said)

    def _shared_failure(self) -> type[StoreError] | None:
        """Return how more than half of all that were asked failed, if they did so in one way."""
        half = (len(self.reports) + len(self.failures)) // 2
        kinds = Counter(type(error) for _, error in self.failures)
        return next((kind for kind, count in kinds.items() if count > half), None)


def _of_servers(error: StoreError) -> StoreError:
    """Say of what does not know the commands of sentinels how to name it."""
    error.advice = (
        "what TIDEGATE_STORE_URL names are no sentinels; name their ports, or write redis:// for a server"
    )
    return error


def _of_sentinels(error: StoreError) -> StoreError:
    """Say of a sentinel what the advice says of the store: "a sentinel's certificate is expired"."""
    error.advice = error.advice.replace("the store", "a sentinel").replace("://", "+sentinel://")
    return error


def report_of(sentinel: bytes, asked_at: float, fields: Mapping[str, str], named: Place | None) -> Report:
    """Read the fields of SENTINEL MASTER; `named` is the server that the sentinel names to clients.

    It does so in an answer of its own. During a failover it names the new primary as soon as that took over;
    the fields do when the replicas follow. When it took over between the two answers, the fields have the
    earlier epoch, with which nobody can vouch for it: the one in the fields is being replaced.

    Raises:
        StoreUnsupported: no sentinel answers this.
    """
    flags, primary = set(fields.get("flags", "").split(",")), place_of(fields)
    try:
        down_after, heard = int(fields["down-after-milliseconds"]), int(fields["last-ok-ping-reply"])
        epoch, others = int(fields["config-epoch"]), int(fields["num-other-sentinels"])
    except (KeyError, ValueError) as error:
        raise StoreUnsupported("it answers SENTINEL MASTER as no sentinel does") from error
    is_named = named in (None, primary)
    if named is not None and not is_named and fields.get("failover-state") in _PROMOTED:
        # It begins to watch the new primary as such when the replicas follow, and holds it to be down
        # `down-after-milliseconds` after that at the earliest.
        until = asked_at + down_after * SAFE_PART / 1000
        return Report(sentinel, asked_at, named, epoch, "", True, False, asked_at, until, others + 1)
    is_replacing = "failover_in_progress" in flags or not is_named
    return Report(
        sentinel,
        asked_at,
        primary,
        epoch,
        fields.get("runid", ""),
        is_named and not flags & _UNSOUND,
        is_replacing,
        asked_at - heard / 1000,
        asked_at + (down_after * SAFE_PART - heard) / 1000,
        others + 1,
    )


def fields_of(reply: Any) -> dict[str, str]:
    """Read `[b"name", b"mymaster", b"ip", b"10.0.0.1", …]`, for which RESP3 has a map."""
    try:
        pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
        return {name.decode(): value.decode() for name, value in pairs}
    except (TypeError, ValueError, AttributeError) as error:
        raise StoreUnsupported("it answers as no sentinel does") from error


def place_of(fields: Mapping[str, str]) -> Place:
    """Return the place of what the fields are about; raises StoreUnsupported if there is none."""
    try:
        return fields["ip"], int(fields["port"])
    except (KeyError, ValueError) as error:
        raise StoreUnsupported("it names no place as a sentinel does") from error


def place_in(reply: Any) -> Place | None:
    """Read `[b"10.0.0.1", b"6379"]`; None when the service has no primary."""
    try:
        return (reply[0].decode(), int(reply[1])) if reply else None
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        raise StoreUnsupported("it names no place as a sentinel does") from error
