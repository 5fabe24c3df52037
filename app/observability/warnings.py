"""The warnings of a gate: each is a sentence in `/stats` while it stands, and a log line at both its ends.

For example, while the store may evict keys: "The store may evict keys (maxmemory-policy allkeys-lru), which
admits duplicates. Set maxmemory-policy noeviction." Asked about it are the parts of the gate, each time anew.
The guard, the consumers and the rejected bodies of feeds have warnings of their own, which are added here.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import structlog
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from app.auth import Access
from app.errors import StoreDenied, StoreFull
from app.feeds.feeds_in_force import FeedsInForce
from app.guard.status import GuardStatus
from app.ingest.rejections import Rejection, warnings_of
from app.ingest.source_statistics import SourceStatistics
from app.metrics.families import gauge
from app.models import StoreFigures, WarningKey, WarningName
from app.settings.field_kinds import MIB
from app.settings.gate_name import gate_name
from app.settings.model import SHARED, env_name
from app.store.latest_figures import Sizes
from app.store.maps import Maps
from app.store.session import StoreSession
from app.store.settings_in_force import LiveSettings
from app.store.shared_settings import Value
from app.store.silent_sentinels import SILENT_SECONDS, silent_sentinels
from app.store.store_fill import StoreFill, limit_setting

log = structlog.get_logger()

STORE_NEAR_LIMIT_RATIO = 0.9
ROOM_RATIO = 2
"""A store needs so many times the bytes that transactions may have, for all that it holds beside them."""
_SEE_TO_POLICY = (
    "See to it that its maxmemory-policy is noeviction: a store that evicts admits duplicates, and this gate "
    "would not notice."
)
# Fewer late duplicates in the sample may be chance.
LATE_FOUND_FOR_WARNING = 10


@dataclass(eq=False)  # the registry of metrics looks collectors up by what they are
class ServiceWarnings(Collector):
    """Collects what all parts of the gate have to warn of, and exports which of it stands."""

    live: LiveSettings
    sizes: Sizes
    session: StoreSession
    maps: Maps
    guard_status: Callable[[], GuardStatus]
    access: Access
    sources: SourceStatistics
    feeds: FeedsInForce
    others: Iterable[Callable[[], Mapping[WarningKey, str]]]
    """The warnings of parts that know theirs themselves: consumers, setbacks of the store, workers."""
    rejections: Callable[[], Iterable[Mapping[str, Rejection]]]
    """The last rejection of each feed, of each process that takes transactions in."""
    maps_bytes: Callable[[], int]
    """Bytes of the store that the maps account for."""
    _standing: dict[WarningKey, str] = field(default_factory=dict, init=False)

    def log_changes(self) -> None:
        """Log a warning once when it comes up, and once when it is over."""
        now = self.now()
        for key in now.keys() - self._standing.keys():
            log.warning(now[key], warning=str(key))
        for key in self._standing.keys() - now.keys():
            log.info("warning over", warning=str(key))
        self._standing = now

    def collect(self) -> Iterable[Metric]:
        """Yield 1 for the names of the warnings that stand, 0 for all others (prometheus_client)."""
        standing = {key.name for key in self.now()}
        family = gauge("warning", "1 while a warning stands that `warnings` of /stats words", "warning")
        for name in WarningName:
            family.add_metric([name], name in standing)
        yield family

    def now(self) -> dict[WarningKey, str]:
        """Return a sentence for each warning that stands, by its key; none is empty."""
        warnings: dict[WarningKey, str] = {}
        if self.session.down_reason is not None:
            warnings[WarningKey(WarningName.STORE_DOWN)] = (
                f"The store is down ({self.session.down_reason.kind}): {self.session.down_reason.advice}. "
                "Transactions are answered 503 until it is back."
            )
        if (partly_down := _partly_down(self.session)) is not None:
            warnings[WarningKey(WarningName.STORE_PARTLY_DOWN)] = (
                f"{partly_down}. Their transactions are answered 503 until they are back."
            )
        warnings |= {WarningKey(WarningName(f"{gate}_gate")): gate.advice for gate in self.maps.other_gates}
        for name, sizes in self.sizes.maps.items():
            rule = self.live.rules[name]
            if sizes.entries > rule.warn_entries:
                warnings[WarningKey(WarningName(f"{name}_size"))] = (
                    f"{name} holds {sizes.entries} entries, above its warning size of {rule.warn_entries}; "
                    f"the limit is {rule.limit}. Check the rate of ingest, "
                    f"or raise TIDEGATE_{name.upper()}_WARN_ENTRIES."
                )
        for setting in self.access.shut():
            warnings[WarningKey(WarningName(f"{setting}_empty"))] = (
                f"The file of {env_name(setting)} holds no token, so nobody is admitted. Write one into it; "
                "it is read again within seconds."
            )
        warnings |= self._feeds_warnings()
        warnings |= dict(warnings_of(self.rejections(), self.sources.last_seen_ms, time.time()))
        if self.live.ignored is not None:
            warnings[WarningKey(WarningName.SETTINGS_IGNORED)] = self.live.ignored
        if self.live.differing:
            warnings[WarningKey(WarningName.SETTINGS_DIFFER)] = _differ(
                gate_name(self.live.start), self.live.differing
            )
        window, wanted = self.live.settings.dedup_window_seconds, self._wanted_window()
        if wanted is not None and wanted > window:
            warnings[WarningKey(WarningName.WINDOW_TOO_SHORT)] = (
                f"The window of {window:g} s is too short: to cover 99.9 % of what came again since the "
                f"start, it has to be {wanted:g} s, by the estimate of a sample. See in GET /sources whose "
                "transactions are `late`, and raise TIDEGATE_DEDUP_WINDOW_SECONDS."
            )
        for others in self.others:
            warnings |= others()
        return warnings | self._store_warnings() | self.guard_status().warnings()

    def _feeds_warnings(self) -> dict[WarningKey, str]:
        warnings, trouble = {}, self.feeds.warning
        if trouble is not None:
            # It may end with a question: did you mean skip?
            end = "" if trouble.endswith("?") else "."
            warnings[WarningKey(WarningName.FEEDS_FILE)] = f"{trouble}{end} It is read again within seconds."
        if self.access.ingest.is_open and (open_beside := self.feeds.warning_if_open()) is not None:
            warnings[WarningKey(WarningName.FEEDS_OPEN)] = open_beside
        return warnings

    def _wanted_window(self) -> float | None:
        return self.sources.recommended_window_seconds(LATE_FOUND_FOR_WARNING)

    def _store_warnings(self) -> dict[WarningKey, str]:
        store, warnings = self.sizes.store, {}
        if (replication := self.maps.replication) is not None and replication.shortage is not None:
            warnings[WarningKey(WarningName.REPLICAS_MISSING)] = f"{replication.shortage.sentence}."
        for place, error in silent_sentinels(self.session.servers):
            warnings[WarningKey(WarningName.SENTINEL_SILENT, place)] = (
                f"The sentinel {place} has not answered for {SILENT_SECONDS:.0f} s or longer ({error.kind}). "
                "The gate goes by the others, and takes nothing in once a majority is silent. See whether it "
                "runs, and whether TIDEGATE_STORE_URL or another sentinel has a wrong address."
            )
        if (missing := self._missing_figures(store)) is not None:
            warnings[WarningKey(WarningName.STORE_FIGURES_MISSING)] = missing
        if store is None:
            return warnings
        if store.evicting_policies:
            warnings[WarningKey(WarningName.STORE_EVICTS)] = (
                f"The store may evict keys (maxmemory-policy {', '.join(sorted(store.evicting_policies))}), "
                "which admits duplicates. Set maxmemory-policy noeviction."
            )
        most_bytes = self.live.settings.transactions_limit_bytes
        if self.live.start.store_url and store.limit_bytes and store.limit_bytes < ROOM_RATIO * most_bytes:
            warnings[WarningKey(WarningName.STORE_SMALL)] = (
                f"The store may use {store.limit_bytes / MIB:.1f} MiB, and transactions alone "
                f"{most_bytes / MIB:.1f} MiB: it can be full before they are at their limit. "
                f"Raise its maxmemory to at least {ROOM_RATIO} times TIDEGATE_TRANSACTIONS_LIMIT_BYTES, or "
                "lower that."
            )
        if (near := self._near_limit(store)) is not None:
            warnings[WarningKey(WarningName.STORE_NEAR_LIMIT)] = near
        return warnings

    def _missing_figures(self, store: StoreFigures | None) -> str | None:
        """Say what of the store cannot be read, which is how a store that evicts goes unnoticed."""
        refused = self.session.spared.figures
        error = next(iter(refused.values()), None)
        if error is not None:
            of = f"of {', '.join(refused)}" if "" not in refused else "of the store"
            why = error.advice if isinstance(error, StoreDenied) else f"its answer is of no use ({error})"
            right = " Give the gate's user the right +info." if type(error) is StoreDenied else ""
            return (
                f"INFO {of} cannot be read ({error.kind}), so its eviction policy, memory and role are "
                f"unknown: {why}.{right} {_SEE_TO_POLICY}"
            )
        if store is not None and store.may_evict is None:
            return f"INFO of the store does not tell its maxmemory-policy. {_SEE_TO_POLICY}"
        return None

    def _near_limit(self, store: StoreFigures) -> str | None:
        """Say that the store is full, or near its limit, and what of it the maps hold."""
        if (full := self.session.advice_now.get(StoreFull.kind)) is not None:
            return f"{_begun(full)}. Transactions are answered 503 until there is room."
        if not store.limit_bytes or store.used_bytes <= STORE_NEAR_LIMIT_RATIO * store.limit_bytes:
            return None
        setting = limit_setting(self.live.start.store_url)
        fill = StoreFill(store.used_bytes, store.limit_bytes, self.maps_bytes(), setting)
        near = _begun(fill.sentence("near its limit"))
        return f"{near}. When it is full, transactions are answered 503."


def _partly_down(session: StoreSession) -> str | None:
    return session.down_partitions.sentence(session.server, names_masters=True)


def _begun(text: str) -> str:
    """Return a text with its first letter in upper case, as a sentence begins."""
    return text[:1].upper() + text[1:]


def _differ(gate: str, differing: Mapping[str, tuple[Value, Value]]) -> str:
    """Name the gate and its settings: the shared ones, of which others hold, and those that stay its own."""
    shared = _named({name: values for name, values in differing.items() if name in SHARED}, "holds")
    own = _named({name: values for name, values in differing.items() if name not in SHARED}, "there")
    sentences = list[str]()
    if shared:
        sentences.append(
            f"This gate, {gate}, was started with other settings than hold for all gates of its store: "
            f"{shared}. It goes by those that hold. Start it with them, too, or start all gates with its "
            "own, or change them for all by PATCH /settings."
        )
    if own:
        sentences.append(
            f"This gate, {gate}, was started with other settings than gates of its store before it: {own}. "
            "Each goes by its own, so one answers what another would wait for. Start all with the same."
        )
    return " ".join(sentences)


def _named(differing: Mapping[str, tuple[Value, Value]], what: str) -> str:
    return ", ".join(
        f"{env_name(name)}={_text(own)} ({_text(told)} {what})" for name, (own, told) in differing.items()
    )


def _text(value: Value) -> str:
    return "unset" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
