"""A throw-away certificate authority for stores that speak TLS."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import trustme


@dataclass(frozen=True)
class TlsFiles:
    """PEM files of one test authority and the server certificate it signed."""

    ca: Path
    cert: Path
    key: Path


def make_tls(folder: Path) -> TlsFiles:
    """Write an authority and a certificate for 127.0.0.1 and localhost into `folder`."""
    return issue(trustme.CA(), folder, "127.0.0.1", "localhost")


def issue(authority: trustme.CA, folder: Path, *hosts: str, not_after: datetime | None = None) -> TlsFiles:
    """Write an authority and a certificate that it issues for these hosts into `folder`."""
    folder.mkdir(exist_ok=True)
    files = TlsFiles(folder / "ca.pem", folder / "cert.pem", folder / "key.pem")
    issued = authority.issue_cert(*hosts, not_before=datetime(2020, 1, 1, tzinfo=UTC), not_after=not_after)
    authority.cert_pem.write_to_path(files.ca)
    issued.private_key_pem.write_to_path(files.key)
    files.cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    return files
