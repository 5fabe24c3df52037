r"""Hides what looks like a secret in texts that are shown, in the log and in the warnings of `/stats`.

Bodies and errors of providers quote addresses with keys, `https://rpc.example/?api-key=5f3a`, and headers.
What is hidden becomes an ellipsis: `https://rpc.example/?api-key=…`. A text may be cut off anywhere, so that
no secret needs an end; and a secret may stand in JSON that is itself a text, `"{\"token\":\"5f3a\"}"`. Rather
too much is hidden than too little: where a value does not end for certain, `{"secret":{"value":"5f3a"…`, all
the rest of the text is hidden.
"""

import re
from typing import Final

HIDDEN: Final = "…"
# A transaction has `tokenTransfers` and `postTokenBalances`, and metadata have `authorities`: no secrets.
_ACCESS: Final = r"token(?!_?(?:account|amount|balance|mint|program|standard|transfer))"
_WORDS: Final = (
    rf"secret|{_ACCESS}|passw|passphrase|auth(?!orit)|api.?key|access.?key|private|credential|cookie"
)
# `"webhookSecret":`, `"key":` and `'api-key':`, but neither `"pubkey":` nor `"accountKeys":`.
_NAME: Final = "|".join(
    rf"{quote}(?:[^{quote}]*(?:{_WORDS})[^{quote}]*|(?:[^{quote}]*[-_.])?(?:key|pass)\\*){quote}"
    for quote in ('"', "'")
)
# A value whose end is certain, since a member, or nothing, follows.
_PLAIN: Final = (
    r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|-?\d[\d.eE+-]*|true|false|null)(?=\s*(?:[,}\]]|\Z))"""
)
_MEMBER: Final = re.compile(rf"((?:{_NAME})\s*:\s*)(?:{_PLAIN}|.*)", re.IGNORECASE | re.DOTALL)
# `token: 5f3a`, and in a sentence: `invalid api key: 5f3a`. What the gate says of the parameter itself,
# `?api-key: leave it out`, has no secret, nor has its `Authorization: Bearer <token>`.
_LINE: Final = re.compile(
    rf"""((?<![\w?./-])[\w.-]*(?:{_WORDS})[\w.-]*\s*(?::(?!\s*bearer\ <)|=\s*(?=["'])))\s*\S.*""",
    re.IGNORECASE | re.DOTALL,
)
# `{"value":"5f3a","name":"Authorization"}` has the name as a value: all is hidden from the first bracket on,
# since the secret may stand anywhere before it.
_PAIR: Final = re.compile(
    r"""["'](?:(?:proxy-)?authorization|(?:set-)?cookie|x-[\w-]*(?:key|token|secret|auth)[\w-]*"""
    r"""|(?:(?:api|bearer|id|refresh|session)[-_]?)?token"""
    r"""|[\w-]*(?:secret|passw|api[-_]?key|private[-_]?key|access[-_]?(?:key|token)|auth[-_]?token)[\w-]*)"""
    r"""\\*["'](?!\s*:)""",
    re.IGNORECASE,
)
_BRACKET: Final = re.compile(r"[\[{]")
# `?api-key=5f3a&…`.
_PARAMETER: Final = re.compile(
    rf"""((?:(?:{_WORDS})[\w.%-]*|(?<![a-z0-9])key|(?<![a-z0-9])pass)\s*=\s*)[^\s&"'<>`…]+""", re.IGNORECASE
)
# `https://user:password@host/`, also as JSON may have it: `https:\/\/user:passw`.
_USER: Final = re.compile(r"""(:(?:\\?/){2})(?:[^\s"'/?#]*@|[^\s"'/?#@:]*:[^\s"'/?#@]*\Z)""")
# A key may be a piece of the path: `https://name.quiknode.pro/0123…/`, `https://rpc.example/v2/0123…`.
_PATH: Final = re.compile(r"""(:(?:\\?/){2}[^\s"'/?#]+/(?:v\d+\\?/)?)[\w-]{20,}""")
_HEADER: Final = re.compile(r"\b(bearer|basic)(\s+)(?!tokens?\b)[\w.~+/=-]+", re.IGNORECASE)


def without_secrets(text: str) -> str:
    """Return a text in which an ellipsis stands for each value that looks like a secret."""
    pair = _PAIR.search(text)
    if pair is not None:
        first = _BRACKET.search(text)
        text = text[: first.end() if first else pair.start()] + HIDDEN
    text = _MEMBER.sub(rf'\1"{HIDDEN}"', text)
    text = _LINE.sub(rf"\1 {HIDDEN}", text)
    text = _USER.sub(rf"\1{HIDDEN}@", text)
    text = _PATH.sub(rf"\1{HIDDEN}", text)
    text = _HEADER.sub(rf"\1\2{HIDDEN}", text)
    return _PARAMETER.sub(rf"\1{HIDDEN}", text)
