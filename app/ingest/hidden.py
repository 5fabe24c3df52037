r"""Hides what looks like a secret in a text that is shown: in the log, and in the warnings of `/stats`.

Bodies and errors of providers quote addresses with keys, `https://rpc.example/?api-key=5f3a`, and headers.
What is hidden becomes an ellipsis: `https://rpc.example/?api-key=…`. A text may be cut off anywhere, so that
no secret needs an end; and a secret may stand in JSON that is itself a text, `"{\"token\":\"5f3a\"}"`. Rather
too much is hidden than too little.
"""

import re
from typing import Final

HIDDEN: Final = "…"
_WORDS: Final = r"secret|token|passw|passphrase|auth|api.?key|access.?key|private|credential"
# `"webhookSecret":`, `"key":` and `"api-key":`, but neither `"pubkey":` nor `"accountKeys":`.
_NAME: Final = rf'"(?:[^"]*(?:{_WORDS})[^"]*|(?:[^"]*[-_.])?(?:key|pass)\\?)"'
_TEXT: Final = r'"(?:[^"\\]|\\.?)*"?'
_MEMBER: Final = re.compile(rf"({_NAME}\s*:\s*)(?:{_TEXT}|\[[^\[\]{{}}]*\]?|[^\s,}}\]]+)", re.IGNORECASE)
# `?api-key=5f3a&…`, and in a sentence: `invalid api key: 5f3a`. What the gate says of the
# parameter itself, `?api-key: leave it out`, has no secret.
_PARAMETER: Final = re.compile(
    rf"""((?:(?:{_WORDS})[\w.%-]*|(?<![a-z0-9])key|(?<![a-z0-9])pass)\s*=\s*|(?<!\?)api[ _-]?key\s*:\s*)"""
    r"""[^\s&"'<>`…]+""",
    re.IGNORECASE,
)
# `https://user:password@host/`, also as JSON may have it: `https:\/\/user:passw`.
_USER: Final = re.compile(r"""(:(?:\\?/){2})(?:[^\s"'/?#]*@|[^\s"'/?#@:]*:[^\s"'/?#@]*\Z)""")
# A key may be a piece of the path: `https://name.quiknode.pro/0123…/`, `https://rpc.example/v2/0123…`.
_PATH: Final = re.compile(r"""(:(?:\\?/){2}[^\s"'/?#]+/(?:v\d+\\?/)?)[\w-]{20,}""")
_HEADER: Final = re.compile(r"\b(bearer|basic)(\s+)(?!tokens?\b)[\w.~+/=-]+", re.IGNORECASE)


def without_secrets(text: str) -> str:
    """Return a text in which an ellipsis stands for each value that looks like a secret."""
    text = _MEMBER.sub(rf'\1"{HIDDEN}"', text)
    text = _USER.sub(rf"\1{HIDDEN}@", text)
    text = _PATH.sub(rf"\1{HIDDEN}", text)
    text = _HEADER.sub(rf"\1\2{HIDDEN}", text)
    return _PARAMETER.sub(rf"\1{HIDDEN}", text)
