"""Every error Tidegate raises on purpose, and what it means over HTTP.

TidegateError
├── ClientError                 4xx: the request is at fault, sending it again will not help
│   ├── MalformedBody           400  not JSON, not gzip, cut off
│   ├── Unauthorized            401
│   ├── NotFound                404  no such address
│   ├── MethodNotAllowed        405  the address does not have the method
│   ├── BodyTimeout             408  the body did not come in time
│   ├── Conflict                409  it would replace what a newer gate has stored
│   ├── PreconditionFailed      412  what If-Match names is no longer so
│   ├── BodyTooLarge            413  body, inflated body, batch or line past its limit
│   ├── UnsupportedMedia        415  media type, charset or content coding
│   ├── InvalidRequest          422  well-formed, but not what the call takes
│   └── those of consumers           app/consumer_errors.py
├── RetryLater                  503 with Retry-After: nothing of it was acknowledged
│   ├── Overloaded                   a bounded queue or budget is full
│   ├── RateLimited             429  a feed has used up its share of the rate
│   ├── FeedsUnknown                 a worker has not been able to read the feeds file
│   ├── MapFull                      signatures are at their limit
│   ├── MemoryPressure               memory is near its limit; see the guard's ceiling
│   ├── ShuttingDown
│   ├── OutcomeUnknown               what had begun was cut off
│   └── StoreError                   named by what failed, see `kind`; more in app/store/store_errors.py
└── ConfigError                 refuses to start, with a sentence for the operator
"""

from typing import ClassVar


class TidegateError(Exception):
    """Base of all; `str()` is a sentence somebody can act on."""


class ConfigError(TidegateError):
    """The service cannot start with these settings."""


class HttpError(TidegateError):
    """An error with a status, a slug for the problem's type, and a title."""

    status: ClassVar[int]
    slug: ClassVar[str]
    title: ClassVar[str]


class ClientError(HttpError):
    """The request is at fault."""


class MalformedBody(ClientError):
    """The body cannot be read."""

    status, slug, title = 400, "malformed-body", "The body cannot be read"


class Unauthorized(ClientError):
    """The token, or the signature of the body, is missing or none of those valid now."""

    status, slug, title = 401, "unauthorized", "A valid token or signature is required"


class NotFound(ClientError):
    """There is no such address."""

    status, slug, title = 404, "not-found", "There is nothing here"


class MethodNotAllowed(ClientError):
    """The address does not have the method; `allow` is the value of `Allow`."""

    status, slug, title = 405, "method-not-allowed", "The method is not allowed here"

    def __init__(self, detail: str, allow: str) -> None:
        super().__init__(detail)
        self.allow = allow


class BodyTimeout(ClientError):
    """The body did not come in time."""

    status, slug, title = 408, "body-timeout", "The request's body took too long"


class Conflict(ClientError):
    """The request would undo what a newer gate has stored."""

    status, slug, title = 409, "conflict", "A newer gate has stored what this one cannot read"


class PreconditionFailed(ClientError):
    """What `If-Match` names has been changed since."""

    status, slug, title = 412, "precondition-failed", "It has been changed since"


class BodyTooLarge(ClientError):
    """A limit on the size of the request was passed.

    It is told by the Content-Length (app/ingest/admission.py, app/api/control_plane_checks.py), by what has
    come (app/decode/body_reader.py), and by what gzip makes of it (app/decode/gzip.py).
    """

    status, slug, title = 413, "too-large", "The request is too large"


class UnsupportedMedia(ClientError):
    """The body's type or coding is not one the call takes."""

    status, slug, title = 415, "unsupported-media", "The body's media type or coding is not supported"


class InvalidRequest(ClientError):
    """Well-formed, but not what the call takes."""

    status, slug, title = 422, "invalid", "The request is not valid"


class RetryLater(HttpError):
    """Nothing was acknowledged; the same request may be sent again after a while."""

    status: ClassVar[int] = 503
    retry_after_seconds: int = 1
    is_counted = False
    """Whether the transactions that it was raised for have been counted, as refused or as failed."""


class Overloaded(RetryLater):
    """A bounded queue or budget is full."""

    slug, title = "overloaded", "The gate has more to do than it may hold"


class RateLimited(RetryLater):
    """A feed has used up its share of the rate; `retry_after_seconds` says when the same body will fit."""

    status, slug, title = 429, "rate-limited", "The feed sends more than its share"

    def __init__(self, detail: str, retry_after_seconds: int) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class FeedsUnknown(RetryLater):
    """A worker was started while the feeds file was broken, and does not know which feeds have to sign."""

    slug, title = "feeds-unknown", "The feeds file cannot be used"


class MapFull(RetryLater):
    """Signatures are at their limit; forgetting one would admit a duplicate."""

    slug, title = "signatures-full", "The map of signatures is full"


class MemoryPressure(RetryLater):
    """Memory is so near its limit that nothing is taken in until some of it is free."""

    slug, title = "memory-pressure", "Memory is near its limit"
    retry_after_seconds = 5


class ShuttingDown(RetryLater):
    """The service is stopping."""

    slug, title = "shutting-down", "The gate is shutting down"


class OutcomeUnknown(RetryLater):
    """What had begun was cut off, by a stop or a lost answer: some or all of it may have been carried out."""

    slug, title = "outcome-unknown", "Whether it was carried out is not known"
    is_counted = True


class ControlUnavailable(RetryLater):
    """A worker got no answer from the process that has the control plane."""

    slug, title = "control-unavailable", "The control plane does not answer"


class WorkerFailed(TidegateError):
    """A worker could not be started."""


class StoreError(RetryLater):
    """The store did not do what was asked; whether it took effect may be unknown.

    `str()` is the store's own text, for the log. `advice` is for everybody: no address, no script in it.
    """

    slug, title = "store-unavailable", "The store is not available"
    kind: ClassVar[str] = "rejected"
    means_down: ClassVar[bool] = False
    master: str = ""
    """Host and port of the master of a Cluster that failed, for the log and `/stats`; else ""."""
    advice: str = "the store refused the call; the log of the gate says why"


class StoreUnreachable(StoreError):
    """No connection can be opened."""

    kind, means_down = "unreachable", True
    advice = "there is no connection to the store; check that it runs and that TIDEGATE_STORE_URL names it"


class StoreInterrupted(StoreError):
    """The connection broke before the answer came, which does not say that the store is down."""

    kind = "interrupted"
    advice = (
        "the connection to the store broke before its answer came, so what was sent may be stored; "
        "sent again it is safe"
    )


class StoreTimeout(StoreError):
    """No answer within the deadline."""

    kind, means_down = "timeout", True
    advice = "the store did not answer within TIDEGATE_STORE_DEADLINE_SECONDS; check its load and slow log"


class StoreDenied(StoreError):
    """User, password or permissions."""

    kind, means_down = "denied", True
    advice = "the store denies the gate access; check user, password and ACL"

    def __init__(self, text: str, command: str | None = None) -> None:
        super().__init__(text)
        self.command = command
        if command is not None:
            self.advice = f"the store denies the gate's user the command {command}; check its ACL"


class StoreNotReplicated(StoreError):
    """All is stored, and fewer replicas than TIDEGATE_STORE_MIN_REPLICAS had it in time."""

    slug, title = "not-replicated", "It is stored, but not confirmed by enough replicas"
    kind = "not_replicated"
    advice = "it is stored, but too few replicas had it in time; send it again until it is a duplicate"


class StoreFull(StoreError):
    """The store is at its memory limit."""

    kind = "full"
    advice = "the store is full; raise its maxmemory, or run POST /cleanup/emergency if the maps fill it"


class StoreBusy(StoreError):
    """Busy with somebody's script."""

    kind, means_down = "busy", True
    advice = (
        "the store is busy with a script of somebody else; wait for its end, or call SCRIPT KILL on the store"
    )


class StoreReadOnly(StoreError):
    """A replica, or a server that cannot write."""

    kind, means_down = "read_only", True
    advice = "the store is a read-only replica; TIDEGATE_STORE_URL must name the master"


class StoreNoPrimary(StoreError):
    """A majority of the sentinels does not vouch for the server that was asked, or for any."""

    kind, means_down = "no_primary", True
    advice = (
        "a majority of the sentinels names no primary that can be written to; "
        "check the sentinels, and whether a failover is under way"
    )


class StoreClusterDown(StoreError):
    """The cluster does not serve all slots."""

    kind, means_down = "cluster_down", True
    advice = "the cluster does not serve all slots; check CLUSTER INFO"


class StoreUnsupported(StoreError):
    """Neither Redis 7.0 nor Valkey 8, or newer, or no store at all."""

    kind, means_down = "unsupported", True
    advice = "what answers for the store is too old or no store: Redis 7.0 or Valkey 8 is needed"


class StoreOfOtherFormat(StoreError):
    """A Tidegate that stores in another way is at work under the same prefix, or has left its data there."""

    kind, means_down = "other_format", True
    advice = "another version of Tidegate uses the same TIDEGATE_STORE_PREFIX; stop it, or change the prefix"


class StoreRejected(StoreError):
    """Any other refusal, a script error among them."""
