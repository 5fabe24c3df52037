"""The ways in which a store fails that only app/store tells apart; those that others know are in errors.py.

StoreError
├── StoreUnreachable              no connection can be opened
│   ├── StoreTlsNotSpoken         TLS to a port without it
│   ├── StoreTlsNeeded            no TLS to a port with it
│   ├── StoreTlsUntrusted         its certificate is of an authority that is not trusted
│   ├── StoreTlsExpired           its certificate is expired, or not valid yet
│   ├── StoreTlsOtherHost         its certificate is another host's
│   ├── StoreTlsClientRefused     it wants a certificate of the gate, or another one
│   ├── StoreTlsFilesUnusable     a file that the URL names cannot be used
│   ├── StoreTlsFailed            anything else that TLS says
│   ├── StoreTooManyClients       it takes no further connection
│   └── StoreHangsUp              it takes connections, and closes them at the login
├── StoreDenied
│   └── StoreWithoutCommand       a command was renamed or disabled, or a proxy does not know it
├── StoreBusy
│   └── StoreLoading              it loads its data
├── StoreWithoutDatabase          the database of the URL does not exist
├── StoreWithoutReplicas          it takes writes only with more replicas
├── StoreCannotSave               it takes no writes since it cannot save to its disk
├── StoreNoPrimary
│   ├── StoreSentinelsDeny        most of the sentinels refuse the login
│   └── StoreWithoutService       they watch no service of the name in the URL
├── StoreWrongScheme              a sentinel is named as a server, or servers as sentinels
├── StoreInOlderFormat            gates of an older version are at work on it
├── StoreOfOtherPartitions        it is divided in another way by now
├── StoreKeysUndeclared           it or a proxy wants to be told each key of a script
├── StoreSlotMoving               somebody moves a slot of the Cluster, key by key
├── StoreDownForDrill             nothing is wrong: a drill is on
└── those of app/errors.py
"""

from app import errors
from app.errors import StoreUnreachable


class StoreTlsNotSpoken(StoreUnreachable):
    """A server is there, and does not answer TLS."""

    kind = "tls_not_spoken"
    advice = "what TIDEGATE_STORE_URL names does not answer TLS; name the port with TLS, or write redis://"


class StoreTlsNeeded(StoreUnreachable):
    """A server is there that closes a connection without TLS, and answers one with it."""

    kind = "tls_needed"
    advice = (
        "the port that TIDEGATE_STORE_URL names speaks TLS only; "
        "write rediss://, or name the port without TLS"
    )


class StoreTlsUntrusted(StoreUnreachable):
    """The certificate's authority is none of those trusted."""

    kind = "tls_untrusted"
    advice = (
        "the store's certificate is not signed by an authority that the gate trusts; "
        "name the file of its authority by ssl_ca_certs in TIDEGATE_STORE_URL"
    )


class StoreTlsExpired(StoreUnreachable):
    """The certificate is past its time, or before it."""

    kind = "tls_expired"
    advice = (
        "the store's certificate is expired or not valid yet; renew it on the store, "
        "and check the clocks of both hosts"
    )


class StoreTlsOtherHost(StoreUnreachable):
    """The certificate names other hosts than the URL."""

    kind = "tls_other_host"
    advice = (
        "the store's certificate is not for the host that TIDEGATE_STORE_URL names; "
        "write a name that the certificate has, or ssl_check_hostname=false"
    )


class StoreTlsClientRefused(StoreUnreachable):
    """The server asks for a certificate of the gate, or does not take the one it was shown."""

    kind = "tls_client_refused"
    advice = (
        "the store asks for a client certificate, or refuses the one it is shown; "
        "name one that it takes by ssl_certfile and ssl_keyfile in TIDEGATE_STORE_URL"
    )


class StoreTlsFilesUnusable(StoreUnreachable):
    """A file with a certificate or key is missing, unreadable, or none."""

    kind = "tls_files"
    advice = (
        "a file of ssl_ca_certs, ssl_certfile or ssl_keyfile in TIDEGATE_STORE_URL cannot be used; "
        "the log of the gate says why"
    )


class StoreTlsFailed(StoreUnreachable):
    """TLS failed for another reason, as for want of a common version."""

    kind = "tls_failed"
    advice = (
        "TLS with the store fails; the log of the gate has the reason, "
        "such as a version or a cipher that only one side allows"
    )


class StoreTooManyClients(StoreUnreachable):
    """The server is at its limit of clients."""

    kind = "too_many_clients"
    advice = "the store is at its limit of clients; raise its maxclients, or find out who holds connections"


class StoreHangsUp(StoreUnreachable):
    """What answers closes each connection at the login, and speaks no TLS either."""

    kind = "hangs_up"
    advice = (
        "what TIDEGATE_STORE_URL names takes connections and closes them at the login: "
        "a proxy without a store behind it, or one that does not know CLIENT or INFO, such as Twemproxy; "
        "name the store itself"
    )


class StoreWithoutCommand(errors.StoreDenied):
    """A command does not exist there, by this name."""

    kind = "no_command"

    def __init__(self, text: str, command: str | None = None) -> None:
        super().__init__(text, command)
        what = f"the command {command}" if command else "a command"
        self.advice = (
            f"the store does not know {what}, which it or a proxy before it has renamed, disabled or left out"
        )


class StoreLoading(errors.StoreBusy):
    """The server was started, and loads its data."""

    kind = "loading"
    advice = "the store is loading its data; it serves when it has"


class StoreWithoutDatabase(errors.StoreError):
    """The database of the URL does not exist."""

    kind, means_down = "no_database", True
    advice = (
        "the store has no database of the number in TIDEGATE_STORE_URL; "
        "a Cluster has only 0, and others as many as their setting `databases` says"
    )


class StoreWithoutReplicas(errors.StoreError):
    """The server refuses writes, for want of replicas that follow it (NOREPLICAS)."""

    kind, means_down = "no_replicas", True
    advice = (
        "the store refuses writes, as fewer replicas follow it than its min-replicas-to-write; "
        "bring replicas back, or lower that"
    )


class StoreCannotSave(errors.StoreError):
    """The server refuses writes, since it cannot save to its disk (MISCONF)."""

    kind, means_down = "cannot_save", True
    advice = (
        "the store refuses writes, as it cannot save its data; see its log, and whether its disk is full, "
        "or switch off stop-writes-on-bgsave-error"
    )


class StoreSentinelsDeny(errors.StoreNoPrimary):
    """Most of the sentinels refuse the login, or a command that the gate asks them with."""

    kind = "sentinels_deny"
    advice = (
        "most of the sentinels deny the gate access, or it is no sentinel; check sentinel_user and "
        "sentinel_password in TIDEGATE_STORE_URL, the rights of that user, and the ports"
    )


class StoreWithoutService(errors.StoreNoPrimary):
    """The sentinels watch no service of the name that the URL has."""

    kind = "no_service"
    advice = (
        "the sentinels watch no service of the name that stands behind them in TIDEGATE_STORE_URL; "
        "write the name of `sentinel monitor` there"
    )


class StoreWrongScheme(errors.StoreError):
    """The URL names a sentinel as a server, or servers as sentinels."""

    kind, means_down = "wrong_scheme", True
    advice = "TIDEGATE_STORE_URL names a sentinel as a server; write redis+sentinel://host:port/service"


class StoreInOlderFormat(errors.StoreError):
    """Gates of an older version are at work on the store, whose format has no room for what was asked."""

    kind = "older_format"
    advice = (
        "gates of an older version are at work on the same store, and this call waits until the last of them "
        "has stopped; transactions are taken in meanwhile"
    )


class StoreOfOtherPartitions(errors.StoreError):
    """The Cluster has another number of partitions than when the gate connected, which connects anew."""

    kind, means_down = "other_partitions", True
    advice = "the number of the Cluster's partitions was changed; the gate connects anew, and goes on with it"


class StoreKeysUndeclared(errors.StoreError):
    """Scripts may touch only the keys that the call names, as Dragonfly and some proxies have it."""

    kind, means_down = "undeclared_keys", True
    advice = (
        "the store, or a proxy before it, lets scripts use only keys that are declared; "
        "start Dragonfly with --default_lua_flags=allow-undeclared-keys, or name a Redis or Valkey"
    )


class StoreSlotMoving(errors.StoreError):
    """A slot of the Cluster is moved key by key: some of its keys are on one node, some on another."""

    kind = "slot_moving"
    advice = (
        "a slot of the cluster is being moved, and what it holds cannot be used until it has arrived; "
        "if nobody moves it any more, the move was broken off: run redis-cli --cluster fix HOST:PORT"
    )


class StoreDownForDrill(errors.StoreError):
    """The store is taken for down by a drill, for a bounded time."""

    kind, means_down = "drill", True
    advice = "a drill is on, and the store is not asked; it ends by itself, or by `tidegate drill stop`"


STORE_ERRORS: tuple[type[errors.StoreError], ...] = (
    errors.StoreUnreachable,
    StoreTlsNotSpoken,
    StoreTlsNeeded,
    StoreTlsUntrusted,
    StoreTlsExpired,
    StoreTlsOtherHost,
    StoreTlsClientRefused,
    StoreTlsFilesUnusable,
    StoreTlsFailed,
    StoreTooManyClients,
    StoreHangsUp,
    errors.StoreInterrupted,
    errors.StoreTimeout,
    errors.StoreDenied,
    StoreWithoutCommand,
    errors.StoreFull,
    errors.StoreBusy,
    StoreLoading,
    StoreWithoutDatabase,
    StoreWithoutReplicas,
    errors.StoreNotReplicated,
    StoreCannotSave,
    StoreKeysUndeclared,
    StoreSlotMoving,
    StoreDownForDrill,
    errors.StoreReadOnly,
    errors.StoreNoPrimary,
    StoreSentinelsDeny,
    StoreWithoutService,
    StoreWrongScheme,
    errors.StoreClusterDown,
    errors.StoreUnsupported,
    errors.StoreOfOtherFormat,
    StoreOfOtherPartitions,
    StoreInOlderFormat,
    errors.StoreRejected,
)
"""Every way in which a store fails, by its `kind`."""


def facts_of(error: errors.StoreError) -> dict[str, str]:
    """Return what the log has of an error: kind, the store's words, advice, and the master if one failed."""
    facts = {"kind": error.kind, "error": str(error), "advice": error.advice}
    return facts | ({"master": error.master} if error.master else {})
