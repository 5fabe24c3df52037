"""Every setting: unit, default, limits and a sentence, read from the environment (`TIDEGATE_…`)."""

import string
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import NoDecode

from app.errors import ConfigError
from app.settings.base import EnvironmentSettings
from app.settings.environment import env_name as env_name  # noqa: PLC0414  who reads settings names their variables
from app.settings.environment import wrong_variables
from app.settings.rules import contradictions
from app.settings.secret_files import secret_lines

MIB = 1024 * 1024
TokenList = Annotated[tuple[str, ...], NoDecode]
# The store's scripts count in doubles, exact up to 2**53.
Entries = Annotated[int, Field(ge=1, le=10**12)]
Bytes = Annotated[int, Field(le=2**50)]


class Settings(EnvironmentSettings):
    """The service's settings; `Settings()` reads the environment, arguments win over it."""

    host: str = Field(
        "127.0.0.1", description="Address to listen on; only loopback without both token lists."
    )
    port: int = Field(8000, ge=0, le=65535, description="TCP port to listen on; 0 takes a free one.")
    workers: int = Field(1, ge=1, le=64, description="Processes that take transactions in.")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="`auto` is `console` on a terminal and `json` elsewhere."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least level logged."
    )

    store_url: str | None = Field(
        None,
        repr=False,
        description="`redis://`, `rediss://` (TLS), `unix://` or the same with `valkey`; "
        "Cluster is recognised. Unset: an embedded Valkey on a private socket.",
    )
    store_url_file: Path | None = Field(
        None, description="A file that holds the store's URL, which may hold a password; read at the start."
    )
    store_prefix: str = Field(
        "tidegate",
        pattern=r"^[A-Za-z0-9._:-]{1,32}$",
        description="First part of every key, for gates that share a store without sharing their maps.",
    )
    gate_name: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9._:-]{1,64}$",
        description="This gate's name in reports, its own and the same after a restart; unset: host:port.",
    )
    store_deadline_seconds: float = Field(1.0, ge=0.05, le=60, description="For every store call, seconds.")
    embedded_store_limit_bytes: int = Field(
        512 * MIB, ge=16 * MIB, description="Memory limit of the embedded store, bytes."
    )

    dedup_window_seconds: float = Field(
        5,
        ge=0.1,
        le=3600,
        description="How long after its acceptance a signature counts as duplicate, seconds.",
    )
    transaction_retention_seconds: float = Field(
        120, ge=1, le=86400, description="How long a transaction is kept, seconds."
    )
    observation_retention_seconds: float = Field(
        120, ge=1, le=86400, description="How long an observation is kept, seconds."
    )
    emergency_transaction_retention_seconds: float = Field(
        60, ge=0, le=86400, description="The same under emergency cleanup, seconds."
    )
    emergency_observation_retention_seconds: float = Field(
        60, ge=0, le=86400, description="The same under emergency cleanup, seconds."
    )
    cleanup_interval_seconds: float = Field(
        30, ge=0.1, le=3600, description="Between normal cleanups of transactions and observations, seconds."
    )
    signature_cleanup_interval_seconds: float = Field(
        5, ge=0.1, le=3600, description="Between normal cleanups of signatures, seconds."
    )

    signatures_limit: Entries = Field(
        1_000_000, description="Entries; at the limit new signatures are refused (503)."
    )
    transactions_limit: Entries = Field(
        1_000_000, description="Entries; at the limit the oldest bucket goes."
    )
    observations_limit: Entries = Field(
        3_000_000, description="Entries; at the limit the oldest bucket goes."
    )
    transactions_limit_bytes: Bytes = Field(
        256 * MIB,
        ge=2 * MIB,
        description="Bytes of compressed transactions; at the limit the oldest bucket goes.",
    )
    signatures_warn_entries: int | None = Field(
        None, ge=1, description="Entries above which a warning is raised; unset: 80 % of the limit."
    )
    transactions_warn_entries: int | None = Field(None, ge=1, description="The same for transactions.")
    observations_warn_entries: int | None = Field(None, ge=1, description="The same for observations.")

    max_body_bytes: int = Field(
        8 * MIB,
        ge=1024,
        le=1024 * MIB,
        description="Of one JSON body, bytes; NDJSON has no limit but on its lines.",
    )
    max_inflated_bytes: int = Field(
        32 * MIB, ge=1024, le=4096 * MIB, description="Of one gzip body after inflation, bytes."
    )
    max_batch_items: int = Field(10_000, ge=1, le=1_000_000, description="Items of one JSON array.")
    max_payload_bytes: int = Field(256 * 1024, ge=2, le=1 * MIB, description="Of one payload, bytes.")
    max_payload_depth: int = Field(128, ge=1, le=512, description="Nested arrays and objects of one payload.")
    max_sources: int = Field(
        64,
        ge=1,
        le=1024,
        description="Sources told apart in metrics, and kept for one transaction; further ones are `other`.",
    )
    max_queued_items: int = Field(
        50_000, ge=1, description="Transactions waiting for the store; past it 503."
    )
    max_queued_bytes: int = Field(
        64 * MIB, ge=2 * MIB, description="Payload bytes waiting for the store; past it 503."
    )
    max_in_flight_requests: int = Field(1024, ge=1, description="Requests under way at once; past it 503.")
    max_in_flight_bytes: int = Field(
        64 * MIB,
        ge=1 * MIB,
        description="Bodies being read or answered at once, bytes after inflation; past it 503. "
        "With a memory limit no more than a quarter of the room below it.",
    )
    max_connections: int = Field(
        2048,
        ge=1,
        description="Open connections; past it 503 and closed. Fewer where the limit on descriptors "
        "(`ulimit -Hn`) leaves no room for them; the log says so.",
    )
    max_header_bytes: int = Field(
        16 * 1024, ge=512, description="Of one request's line and headers, bytes; past it 431."
    )
    max_headers: int = Field(100, ge=1, le=10_000, description="Header lines of one request; past it 431.")
    max_connection_bytes: int = Field(
        32 * MIB, ge=MIB, description="Unparsed and unsent, of all connections together, bytes; past it 503."
    )
    receive_deadline_seconds: float = Field(
        10,
        ge=0.1,
        le=600,
        description="For a request's headers, and between two pieces of its body, seconds; past it 408.",
    )

    send_deadline_seconds: float = Field(
        10, ge=0.1, le=600, description="For a client to take more of its answer, seconds; past it cut off."
    )
    fast_path: bool = Field(
        True, description="Single transactions go past ASGI; answers are the same without."
    )

    ingest_tokens: TokenList = Field(
        (),
        repr=False,
        description="Tokens that may POST and look up transactions, comma-separated; unset means open.",
    )
    ingest_tokens_file: Path | None = Field(
        None,
        description="The same, one a line, from a file; read again when it changes; emptied, it shuts.",
    )
    admin_tokens: TokenList = Field(
        (),
        repr=False,
        description="Tokens that may call `/cleanup`, `/alerts` and `/settings`, comma-separated; "
        "unset means open.",
    )
    admin_tokens_file: Path | None = Field(
        None,
        description="The same, one a line, from a file; read again when it changes; emptied, it shuts.",
    )

    memory_limit_bytes: int | None = Field(
        None, ge=1, le=2**50, description="Of the whole service, bytes; unset: the cgroup's limit if any."
    )
    memory_soft_ratio: float = Field(
        0.75, gt=0, le=1, description="Share of the limit from which pressure is `soft`: emergency cleanup."
    )
    memory_soft_exit_ratio: float = Field(
        0.65, gt=0, le=1, description="Share of the limit below which `soft` is left."
    )
    memory_hard_ratio: float = Field(
        0.90, gt=0, le=1, description="Share of the limit from which pressure is `hard`: ingest is refused."
    )
    memory_hard_exit_ratio: float = Field(
        0.80, gt=0, le=1, description="Share of the limit below which `hard` is left."
    )
    memory_sample_seconds: float = Field(
        5, ge=0.1, le=300, description="Between readings of memory and store figures, seconds."
    )

    leak_window_seconds: float = Field(
        300, ge=1, le=3600, description="Window of the rule on growth, seconds."
    )
    leak_growth_bytes: Bytes = Field(
        50 * MIB, ge=64 * 1024, description="Growth within the window that counts as a leak, bytes."
    )
    leak_warmup_seconds: float = Field(
        1800, ge=0, le=86400, description="After start, in which growth is no leak, seconds."
    )
    slow_leak_bytes_per_hour: Bytes = Field(
        10 * MIB, ge=64 * 1024, description="A leak of this rate is found within hours, bytes an hour."
    )
    leak_cooldown_seconds: float = Field(
        600,
        ge=1,
        le=86400,
        description="After an action before the next one, seconds; doubles while growth goes on.",
    )
    alert_cooldown_seconds: float = Field(
        120,
        ge=1,
        le=86400,
        description="After a cleanup for an alert, before the same is done for another, seconds.",
    )
    diagnosis_dir: Path | None = Field(
        None, description="Folder for diagnoses; unset: a private one among the temporary files."
    )
    diagnoses_kept: int = Field(20, ge=1, le=1000, description="Diagnoses kept in the folder and shown.")

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
        tokens = (token.strip(string.whitespace) for token in value.split(","))
        found = tuple(token for token in tokens if token)
        if value and not found:
            raise ValueError("holds no token; leave it unset for access without one")
        return found

    @model_validator(mode="before")
    @classmethod
    def _read_store_url(cls, values: dict[str, object]) -> dict[str, object]:
        file = values.get("store_url_file")
        if not file:
            return values
        if values.get("store_url"):
            raise ValueError("set TIDEGATE_STORE_URL or TIDEGATE_STORE_URL_FILE, not both")
        try:
            lines = secret_lines(Path(str(file)))
        except ConfigError as error:
            raise ValueError(f"TIDEGATE_STORE_URL_FILE: {error}") from None
        if len(lines) != 1:
            raise ValueError(
                f"TIDEGATE_STORE_URL_FILE: {file} has to hold one line, the URL; it holds {len(lines)}"
            )
        return values | {"store_url": lines[0].decode()}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if found := list(contradictions(self)):
            raise ValueError("; ".join(found))
        return self


def load_settings(**overrides: object) -> Settings:
    """Read the environment.

    Raises:
        ConfigError: with one sentence for each setting that is wrong or unknown.
    """
    wrong = wrong_variables(map(env_name, Settings.model_fields))
    try:
        settings = Settings(**overrides)  # type: ignore[arg-type]  # pydantic checks them
    except ValidationError as error:
        wrong = [_sentence(item) for item in error.errors(include_url=False)] + wrong
    if wrong:
        raise ConfigError("; ".join(wrong))
    return settings


def _sentence(item: ErrorDetails) -> str:
    message = str(item["msg"]).removeprefix("Value error, ")
    if not item["loc"]:
        return message
    return f"{env_name(str(item['loc'][0]))}: {message[0].lower()}{message[1:]}"
