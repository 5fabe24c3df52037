"""Problem documents (RFC 9457), as bytes."""

from typing import Final

import msgspec

MEDIA_TYPE: Final = "application/problem+json"


def problem_bytes(status: int, slug: str, title: str, detail: str, **extension: object) -> bytes:
    """A problem document as JSON; further members are its extension (RFC 9457, section 3.2)."""
    members = {"type": f"urn:tidegate:problem:{slug}", "title": title, "status": status, "detail": detail}
    return msgspec.json.encode(members | extension)
