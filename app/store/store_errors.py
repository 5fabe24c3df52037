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
│   └── StoreTlsFailed            anything else that TLS says
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
    errors.StoreInterrupted,
    errors.StoreTimeout,
    errors.StoreDenied,
    errors.StoreFull,
    errors.StoreBusy,
    errors.StoreReadOnly,
    errors.StoreClusterDown,
    errors.StoreUnsupported,
    errors.StoreOfOtherFormat,
    errors.StoreRejected,
)
"""Every way in which a store fails, by its `kind`."""
