"""Every setting, once: its group, default, limits and sentence, and whether it can be changed at run time."""

import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ValidationError, field_validator, model_validator

from app.errors import ConfigError
from app.settings.environment import about, wrong_variables
from app.settings.environment import env_name as env_name  # noqa: PLC0414  who reads settings names their variables
from app.settings.field_kinds import (
    ACCESS,
    ALERTS,
    CONSUMERS,
    FEEDS,
    LEAKS,
    LISTENING,
    MAPS,
    MEMORY,
    MIB,
    REQUEST,
    REQUESTS,
    STORE,
    WINDOWS,
    Bytes,
    Entries,
    PowerOfTwo,
    TokenList,
    changeable,
    compared,
    fixed,
    shared,
)
from app.settings.precedence import EnvironmentSettings
from app.settings.secret_files import only_line

# What has to fit together for the laws on windows, retentions and bounds: the first is not above the second.
ORDERED = (
    ("emergency_transaction_retention_seconds", "transaction_retention_seconds"),
    ("emergency_observation_retention_seconds", "observation_retention_seconds"),
    ("dedup_window_seconds", "emergency_transaction_retention_seconds"),
    ("memory_soft_exit_ratio", "memory_soft_ratio"),
    ("memory_soft_ratio", "memory_hard_ratio"),
    ("memory_soft_exit_ratio", "memory_hard_exit_ratio"),
    ("memory_hard_exit_ratio", "memory_hard_ratio"),
    ("memory_sample_seconds", "leak_window_seconds"),
    ("max_payload_bytes", "max_body_bytes"),
    ("max_body_bytes", "max_in_flight_bytes"),
    ("max_inflated_bytes", "max_in_flight_bytes"),
    ("max_body_bytes", "max_queued_bytes"),
    ("max_inflated_bytes", "max_queued_bytes"),
    ("max_batch_items", "max_queued_items"),
    ("lease_seconds", "consumer_idle_seconds"),
    ("signatures_warn_entries", "signatures_limit"),
    ("transactions_warn_entries", "transactions_limit"),
    ("observations_warn_entries", "observations_limit"),
)


class Settings(EnvironmentSettings):
    """The service's settings; `Settings()` reads the environment, arguments win over it."""

    host: str = fixed(LISTENING, "127.0.0.1")
    """Address to listen on; only loopback without both token lists."""
    port: int = fixed(LISTENING, 8000, ge=0, le=65535)
    """TCP port to listen on; 0 takes a free one."""
    workers: int = fixed(LISTENING, 1, ge=1, le=64)
    """Processes that take transactions in."""
    log_format: Literal["auto", "json", "console"] = fixed(LISTENING, "auto")
    """`auto` is `console` on a terminal and `json` elsewhere."""
    log_level: Literal["debug", "info", "warning", "error"] = fixed(LISTENING, "info")
    """The least level logged."""

    store_url: str | None = fixed(STORE, None, repr=False)
    """`redis://`, `rediss://` (TLS), `unix://` or the same with `valkey`; Cluster is recognised.
    `redis+sentinel://host:port,host:port/service`: the primary sentinels name. Unset: an embedded Valkey."""
    store_url_file: Path | None = fixed(STORE, None)
    """A file that holds the store's URL, as of one with a password; read again when access is denied."""
    store_prefix: str = fixed(STORE, "tidegate", pattern=r"^[A-Za-z0-9._:-]{1,32}$")
    """First part of every key, for gates that share a store without sharing their maps."""
    history_dir: Path | None = fixed(STORE, None)
    """Folder for the samples of reports, which end with an embedded store otherwise; not with another."""
    gate_name: str | None = fixed(STORE, None, pattern=r"^[A-Za-z0-9._:-]{1,64}$")
    """Name of this gate in reports, unlike any other's and kept over restarts; unset: host:port."""
    store_deadline_seconds: float = fixed(STORE, 1.0, ge=0.05, le=60)
    """How long a call of the store may take, seconds."""
    store_min_replicas: int = compared(STORE, 0, ge=0, le=100)
    """Replicas that have to have a transaction before its answer goes out; too few in time: 503. 0: none."""
    embedded_store_limit_bytes: int = fixed(STORE, 512 * MIB, ge=16 * MIB)
    """Memory limit of the embedded store, bytes."""

    dedup_window_seconds: float = shared(WINDOWS, 5, ge=0.1, le=3600)
    """How long after its acceptance a signature counts as duplicate, seconds."""
    transaction_retention_seconds: float = shared(WINDOWS, 120, ge=1, le=86400)
    """How long a transaction is kept, seconds."""
    observation_retention_seconds: float = shared(WINDOWS, 120, ge=1, le=86400)
    """How long an observation is kept, seconds."""
    emergency_transaction_retention_seconds: float = shared(WINDOWS, 60, ge=0, le=86400)
    """How long a transaction is kept under emergency cleanup, seconds."""
    emergency_observation_retention_seconds: float = shared(WINDOWS, 60, ge=0, le=86400)
    """How long an observation is kept under emergency cleanup, seconds."""
    cleanup_interval_seconds: float = shared(WINDOWS, 30, ge=0.1, le=3600)
    """Time between normal cleanups of transactions and observations, seconds."""
    signature_cleanup_interval_seconds: float = shared(WINDOWS, 5, ge=0.1, le=3600)
    """Time between normal cleanups of signatures, seconds."""
    late_sample: PowerOfTwo = changeable(WINDOWS, 16, ge=0, le=256)
    """One in so many signatures is looked through for late duplicates and misses; a power of two, 0: none."""

    signatures_limit: Entries = shared(MAPS, 1_000_000)
    """Entries; at the limit new signatures are refused (503)."""
    transactions_limit: Entries = shared(MAPS, 1_000_000)
    """Entries; at the limit the oldest bucket goes."""
    observations_limit: Entries = shared(MAPS, 3_000_000)
    """Entries; at the limit the oldest bucket goes."""
    transactions_limit_bytes: Bytes = shared(MAPS, 256 * MIB, ge=2 * MIB)
    """Bytes of compressed transactions; at the limit the oldest bucket goes."""
    signatures_warn_entries: int | None = shared(MAPS, None, ge=1)
    """Entries above which a warning is raised; unset: 80 % of the limit."""
    transactions_warn_entries: int | None = shared(MAPS, None, ge=1)
    """Entries above which a warning is raised; unset: 80 % of the limit."""
    observations_warn_entries: int | None = shared(MAPS, None, ge=1)
    """Entries above which a warning is raised; unset: 80 % of the limit."""
    max_sources: int = fixed(MAPS, 64, ge=1, le=1024)
    """Sources told apart in metrics, and kept for one transaction; further ones are `other`."""

    max_body_bytes: int = changeable(REQUEST, 8 * MIB, ge=1024, le=1024 * MIB)
    """Longest JSON body, bytes; NDJSON has no limit but on its lines."""
    max_inflated_bytes: int = changeable(REQUEST, 32 * MIB, ge=1024, le=4096 * MIB)
    """Longest gzip body after inflation, bytes."""
    max_batch_items: int = changeable(REQUEST, 10_000, ge=1, le=1_000_000)
    """Items of one JSON array."""
    max_payload_bytes: int = changeable(REQUEST, 256 * 1024, ge=2, le=1 * MIB)
    """Longest payload of a transaction, bytes."""
    max_payload_depth: int = changeable(REQUEST, 128, ge=1, le=512)
    """Nested arrays and objects of one payload."""
    max_header_bytes: int = fixed(REQUEST, 16 * 1024, ge=512)
    """Longest request line with its headers, bytes; past it 431."""
    max_headers: int = fixed(REQUEST, 100, ge=1, le=10_000)
    """Header lines of one request; past it 431."""
    receive_deadline_seconds: float = fixed(REQUEST, 10, ge=0.1, le=600)
    """Longest wait for a request's headers, and between two pieces of its body, seconds; past it 408."""
    send_deadline_seconds: float = fixed(REQUEST, 10, ge=0.1, le=600)
    """Longest wait for a client to take more of its answer, seconds; past it cut off."""
    fast_path: bool = fixed(REQUEST, True)
    """Single transactions go past ASGI; answers are the same without."""

    max_queued_items: int = fixed(REQUESTS, 50_000, ge=1)
    """Transactions waiting for the store; past it 503."""
    max_queued_bytes: int = fixed(REQUESTS, 64 * MIB, ge=2 * MIB)
    """Payload bytes waiting for the store; past it 503."""
    max_in_flight_requests: int = fixed(REQUESTS, 1024, ge=1)
    """Requests under way at once, a quarter of them for posts of transactions alone; past it 503.
    While a client sends its body, its request does not count, and probes and scrapes never do."""
    max_in_flight_bytes: int = fixed(REQUESTS, 64 * MIB, ge=1 * MIB)
    """Bodies being read or answered at once, bytes after inflation; past it 503.
    With a memory limit no more than a quarter of the room below it; one source leaves room to others."""
    max_connections: int = fixed(REQUESTS, 2048, ge=1)
    """Open connections; past it 503 and closed. Fewer where the limit on descriptors (`ulimit -Hn`)
    leaves no room for them; the log says so."""
    max_connection_bytes: int = fixed(REQUESTS, 32 * MIB, ge=MIB)
    """Unparsed and unsent, of all connections together, and long headers of requests under way, bytes;
    a quarter of them is for bodies, and a quarter is the most for such headers; past it 503."""

    ingest_tokens: TokenList = fixed(ACCESS, (), repr=False)
    """Tokens that may POST, look up, stream and consume transactions, comma-separated; unset means open."""
    ingest_tokens_file: Path | None = fixed(ACCESS, None)
    """File of such tokens, one a line; read again when it changes; emptied, it shuts."""
    admin_tokens: TokenList = fixed(ACCESS, (), repr=False)
    """Tokens that may call `/cleanup`, `/alerts` and `/settings`, and read, comma-separated; unset: open."""
    admin_tokens_file: Path | None = fixed(ACCESS, None)
    """File of such tokens, one a line; read again when it changes; emptied, it shuts."""

    feeds_file: Path | None = fixed(FEEDS, None)
    """TOML file that says for each feed how it signs, its share of the rate, and how its bodies are read;
    read again when it changes."""

    max_feed_body_bytes: int = changeable(FEEDS, 64 * MIB, ge=1024, le=1024 * MIB)
    """Longest body of `POST /feeds/…`, bytes, as it is sent and after inflation; in any case no longer
    than all bodies together, or half of them if the feed signs, and than what may wait for the store."""

    consumers_limit: int = shared(CONSUMERS, 64, ge=1, le=1024)
    """Consumers the store remembers; one more is refused (409)."""
    consumer_idle_seconds: float = shared(CONSUMERS, 3600, ge=1, le=86400)
    """How long after its last call a consumer is remembered, seconds."""
    lease_seconds: float = shared(CONSUMERS, 30, ge=1, le=3600)
    """How long a lease holds that asks for no other time, seconds."""
    stream_readers_limit: int = changeable(CONSUMERS, 1000, ge=1, le=100_000)
    """Streams that are open at once, and as many calls for a lease; past it 503."""

    memory_limit_bytes: int | None = changeable(MEMORY, None, ge=1, le=2**50)
    """Limit of the whole service, bytes; unset: the cgroup's limit if any, else a share of the machine's
    memory."""
    memory_machine_ratio: float = changeable(MEMORY, 0.5, ge=0, le=1)
    """Share of the machine's memory that is the limit where neither TIDEGATE_MEMORY_LIMIT_BYTES nor a
    cgroup sets one; 0: no limit."""
    memory_soft_ratio: float = changeable(MEMORY, 0.75, gt=0, le=1)
    """Share of the limit from which pressure is `soft`: emergency cleanup."""
    memory_soft_exit_ratio: float = changeable(MEMORY, 0.65, gt=0, le=1)
    """Share of the limit below which `soft` is left."""
    memory_hard_ratio: float = changeable(MEMORY, 0.90, gt=0, le=1)
    """Share of the limit from which pressure is `hard`: ingest is refused."""
    memory_hard_exit_ratio: float = changeable(MEMORY, 0.80, gt=0, le=1)
    """Share of the limit below which `hard` is left."""
    memory_sample_seconds: float = changeable(MEMORY, 5, ge=0.1, le=300)
    """Time between readings of memory and store figures, seconds."""

    leak_window_seconds: float = changeable(LEAKS, 300, ge=1, le=3600)
    """Window of the rule on growth, seconds."""
    leak_growth_bytes: Bytes = changeable(LEAKS, 50 * MIB, ge=64 * 1024)
    """Growth within the window that counts as a leak, bytes."""
    leak_warmup_seconds: float = changeable(LEAKS, 1800, ge=0, le=86400)
    """Time after the start in which growth is no leak, seconds."""
    slow_leak_bytes_per_hour: Bytes = changeable(LEAKS, 10 * MIB, ge=64 * 1024)
    """A leak of this rate is found within hours, bytes an hour."""
    leak_cooldown_seconds: float = changeable(LEAKS, 600, ge=1, le=86400)
    """Pause after an action before the next one, seconds; doubles while growth goes on."""
    restart_when_ineffective: bool = changeable(LEAKS, False)
    """Stop the gate with exit code 75, for its supervisor to start it again, once acting on a leak of it
    or of its own store did not help."""
    diagnosis_dir: Path | None = fixed(LEAKS, None)
    """Folder for diagnoses; unset: a private one among the temporary files."""
    diagnoses_kept: int = fixed(LEAKS, 20, ge=1, le=1000)
    """Diagnoses kept in the folder and shown."""

    alert_cooldown_seconds: float = changeable(ALERTS, 120, ge=1, le=86400)
    """Pause after a cleanup for an alert, before the same is done for another alert, seconds."""

    @property
    def is_open(self) -> bool:
        """Whether anything at all can be done without a token."""
        ingest = self.ingest_tokens or self.ingest_tokens_file
        return not (ingest and (self.admin_tokens or self.admin_tokens_file))

    @field_validator("ingest_tokens", "admin_tokens", mode="before")
    @classmethod
    def _split_tokens(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        found = tuple(filter(None, (token.strip(string.whitespace) for token in value.split(","))))
        if value and not found:
            raise ValueError("holds no token; leave it unset for access without one")
        return found

    @model_validator(mode="before")
    @classmethod
    def _read_store_url(cls, values: dict[str, object]) -> dict[str, object]:
        if not (file := values.get("store_url_file")):
            return values
        if values.get("store_url"):
            raise ValueError("set TIDEGATE_STORE_URL or TIDEGATE_STORE_URL_FILE, not both")
        try:
            return values | {"store_url": only_line(Path(str(file)), "the URL")}
        except ConfigError as error:
            raise ValueError(f"TIDEGATE_STORE_URL_FILE: {error}") from None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if found := list(_contradictions(self)):
            raise ValueError("; ".join(found))
        return self


def _declared(name: str) -> dict[str, Any]:
    extra = Settings.model_fields[name].json_schema_extra
    return extra if isinstance(extra, dict) else {}


CHANGEABLE = tuple(name for name in Settings.model_fields if _declared(name)["changeable"])
"""The settings that can be changed at run time."""
SHARED = tuple(name for name in Settings.model_fields if _declared(name).get("shared"))
"""The settings that say what the store keeps: from the start on they are the same for all its gates."""
COMPARED = (*SHARED, *(name for name in Settings.model_fields if _declared(name).get("compared")))
"""The settings by which gates of a store differ: the shared ones, and others that stay their own."""


def load_settings(**overrides: object) -> Settings:
    """Read the environment.

    Raises:
        ConfigError: with one sentence for each setting that is wrong or unknown.
    """
    wrong = wrong_variables(map(env_name, Settings.model_fields))
    try:
        settings = Settings(**overrides)  # type: ignore[arg-type]  # pydantic checks them
    except ValidationError as error:
        wrong = [about(item["loc"], item["msg"]) for item in error.errors(include_url=False)] + wrong
    if wrong:
        raise ConfigError("; ".join(wrong))
    return settings


def _contradictions(settings: Settings) -> Iterator[str]:
    """A sentence for each two settings that do not fit one another."""
    for lower, upper in ORDERED:
        low, high = getattr(settings, lower), getattr(settings, upper)
        if low is not None and low > high:
            yield f"{env_name(lower)}={low} must not be above {env_name(upper)}={high}"
    for name in ("ingest_tokens", "admin_tokens"):
        if getattr(settings, name) and getattr(settings, f"{name}_file"):
            yield f"set {env_name(name)} or {env_name(name)}_FILE, not both"
    if settings.store_min_replicas and not settings.store_url:
        yield f"{env_name('store_min_replicas')} needs a store that has replicas: set TIDEGATE_STORE_URL"
