"""What goes wrong with the store gets its name in this one place."""

import re
import ssl

import hiredis

from app import errors
from app.store import store_errors
from app.store.shared_connection import AnswerLost, NotConnected, TlsNotAnswered
from app.store.tls import TlsFilesUnusable, TlsNeeded

_BY_TYPE: tuple[tuple[type[BaseException], type[errors.StoreError]], ...] = (
    (TimeoutError, errors.StoreTimeout),
    (TlsNotAnswered, store_errors.StoreTlsNotSpoken),
    (TlsNeeded, store_errors.StoreTlsNeeded),
    (TlsFilesUnusable, store_errors.StoreTlsFilesUnusable),
    (OSError, errors.StoreUnreachable),
    (hiredis.ProtocolError, errors.StoreUnsupported),
)

# What OpenSSL finds wrong with a certificate, as X509_V_ERR_…; anything else is a matter of trust.
_NOT_YET_VALID, _EXPIRED, _HOST_MISMATCH, _IP_MISMATCH = 9, 10, 62, 64
_BY_VERIFY_CODE: dict[int, type[errors.StoreError]] = {
    _NOT_YET_VALID: store_errors.StoreTlsExpired,
    _EXPIRED: store_errors.StoreTlsExpired,
    _HOST_MISMATCH: store_errors.StoreTlsOtherHost,
    _IP_MISMATCH: store_errors.StoreTlsOtherHost,
}
# Parts of the alerts about the gate's certificate; TLS 1.2 says handshake_failure where there is none.
_CLIENT_REFUSED = ("CERTIFICATE", "UNKNOWN_CA", "HANDSHAKE_FAILURE", "ACCESS_DENIED")
_NOT_TLS = ("WRONG_VERSION_NUMBER", "UNEXPECTED_EOF_WHILE_READING", "RECORD_LAYER_FAILURE")

# Servers tell what went wrong by the first word; an error raised inside a script has it further behind.
_BY_TEXT: tuple[tuple[str, type[errors.StoreError]], ...] = (
    ("OTHERFORMAT", errors.StoreOfOtherFormat),
    ("OTHERPARTITIONS", store_errors.StoreOfOtherPartitions),
    ("OLDERFORMAT", store_errors.StoreInOlderFormat),
    ("OOM", errors.StoreFull),
    ("CLUSTERDOWN", errors.StoreClusterDown),
    ("MOVED", errors.StoreClusterDown),
    ("ASK", errors.StoreClusterDown),
    ("READONLY", errors.StoreReadOnly),
    ("MASTERDOWN", errors.StoreReadOnly),
    ("UNBLOCKED", errors.StoreReadOnly),  # a `WAIT`, when its server becomes a replica
    ("LOADING", store_errors.StoreLoading),
    ("NOREPLICAS", store_errors.StoreWithoutReplicas),
    ("MISCONF", store_errors.StoreCannotSave),
    ("TRYAGAIN", errors.StoreBusy),
    ("BUSY", errors.StoreBusy),
    ("NOAUTH", errors.StoreDenied),
    ("WRONGPASS", errors.StoreDenied),
    ("NOPERM", errors.StoreDenied),
    ("DENIED", errors.StoreDenied),
)
# These have no word of their own.
_BY_PHRASE: tuple[tuple[str, type[errors.StoreError]], ...] = (
    ("ACL failure in script", errors.StoreDenied),
    ("AUTH ", errors.StoreDenied),
    ("invalid password", errors.StoreDenied),
    ("invalid username", errors.StoreDenied),
    ("can't access at least one of the keys", errors.StoreDenied),
    ("undeclared key", store_errors.StoreKeysUndeclared),
    ("should be passed using the KEYS array", store_errors.StoreKeysUndeclared),
    ("access a non local key", store_errors.StoreSlotMoving),
    ("max number of clients", store_errors.StoreTooManyClients),
    ("DB index is out of range", store_errors.StoreWithoutDatabase),
    ("SELECT is not allowed", store_errors.StoreWithoutDatabase),
    ("No such master", store_errors.StoreWithoutService),
)
_UNKNOWN_COMMAND = re.compile(r"(?:unknown|unsupported) command ['`]([^'`]{1,40})['`]")
_REFUSED_COMMAND = re.compile(r"run the '([a-z|]{1,40})' command")
_ARGUMENTS = ", with args beginning with:"  # which may be a whole block of transactions
# What is said of a login or of keys that are refused, by a part of the server's text.
_DENIED_ADVICE = (
    ("NOAUTH", "the store asks for a password, and TIDEGATE_STORE_URL has none"),
    ("key", "the store denies the gate's user the keys of TIDEGATE_STORE_PREFIX; check its ACL"),
    (
        "protected mode",
        "the store is in protected mode and takes only clients on its own host; give it a password",
    ),
)


def as_store_error(error: BaseException) -> errors.StoreError:
    """Name the way the store failed, and the master, which the error or its cause has for a note."""
    ours = error if isinstance(error, errors.StoreError) else _named(error)
    notes: list[str] = getattr(error, "__notes__", []) or getattr(error.__cause__, "__notes__", [])
    ours.master = ours.master or next(iter(notes), "")
    return ours


def _named(error: BaseException) -> errors.StoreError:
    text = str(error).partition(_ARGUMENTS)[0] or type(error).__name__
    if isinstance(error, NotConnected):
        return _unconnected(text, error.__cause__)
    if isinstance(error, AnswerLost) and not error.is_gone:
        return errors.StoreInterrupted(text)
    if isinstance(error, ssl.SSLError):
        return _tls_failure(error)
    for kind, ours in _BY_TYPE:
        if isinstance(error, kind):
            return ours(text)
    return _by_text(text)


def _unconnected(text: str, cause: BaseException | None) -> errors.StoreError:
    """Nothing was sent; a connection that broke during its login is one that could not be opened."""
    named = None if cause is None else as_store_error(cause)
    if type(named) is errors.StoreTimeout:
        return errors.StoreTimeout(text)
    if type(named) is errors.StoreInterrupted:
        by_text = _by_text(text)  # of what it said before it closed, as at its limit of clients
        return store_errors.StoreHangsUp(text) if type(by_text) is errors.StoreRejected else by_text
    return named or errors.StoreUnreachable(text)


def _tls_failure(error: ssl.SSLError) -> errors.StoreError:
    text, reason = str(error), error.reason or ""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _BY_VERIFY_CODE.get(error.verify_code, store_errors.StoreTlsUntrusted)(text)
    if "ALERT" in reason and any(word in reason for word in _CLIENT_REFUSED):
        return store_errors.StoreTlsClientRefused(text)
    if any(word in reason for word in _NOT_TLS):
        return store_errors.StoreTlsNotSpoken(text)
    return store_errors.StoreTlsFailed(text)


def _by_text(text: str) -> errors.StoreError:
    unknown = _UNKNOWN_COMMAND.search(text)
    if unknown is not None:
        return store_errors.StoreWithoutCommand(text, unknown[1].upper())
    by_word = (ours for word, ours in _BY_TEXT if text.startswith(word) or f" {word} " in text)
    by_phrase = (ours for phrase, ours in _BY_PHRASE if phrase in text)
    ours = next(by_word, None) or next(by_phrase, errors.StoreRejected)
    return _denied(text) if ours is errors.StoreDenied else ours(text)


def _denied(text: str) -> errors.StoreDenied:
    found = _REFUSED_COMMAND.search(text)
    if found is not None:
        return errors.StoreDenied(text, found[1].replace("|", " ").upper())
    denied = errors.StoreDenied(text)
    denied.advice = next((advice for part, advice in _DENIED_ADVICE if part in text), denied.advice)
    return denied
