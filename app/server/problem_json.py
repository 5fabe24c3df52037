"""The JSON of a problem document (RFC 9457), for the server's own refusals and for the application's.

{"type":"urn:tidegate:problem:map-full","title":"The map is full","status":503,"detail":"…"}
"""

from typing import Final

import msgspec

MEDIA_TYPE: Final = "application/problem+json"


def problem_bytes(status: int, slug: str, title: str, detail: str, **extension: object) -> bytes:
    """Return a problem document as JSON; further members are its extension (RFC 9457, section 3.2)."""
    members = {"type": f"urn:tidegate:problem:{slug}", "title": title, "status": status, "detail": detail}
    return msgspec.json.encode(members | extension)
