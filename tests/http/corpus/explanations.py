"""Why the gate does something else than the RFC asks, or than uvicorn: a sentence or two for a rule."""

_UNCOUNTED = (
    "uvicorn closes without a word; the gate says what is wrong, so that the refusal can be seen and counted."
)
_LIMITED = "uvicorn has no limit of its own here. The gate's is `TIDEGATE_MAX_HEADER_BYTES`"
_LLHTTP = "llhttp, the parser beneath both, refuses it"

EXPLANATIONS: dict[str, str] = {
    "method-unknown": (
        "501 for what no parser knows, where uvicorn says 400. `M-SEARCH` and `SOURCE` are methods of other "
        "protocols that the parser knows; they reach the routes, where no resource has them."
    ),
    "target-connect": "The gate is no proxy: CONNECT is not implemented, whatever its target looks like.",
    "target-not-a-form": (
        "A fragment is cut off and `*` is a path that no resource has, as in uvicorn: neither changes "
        "where the request ends."
    ),
    "target-long": f"{_LIMITED}, past it 431; uvicorn refuses a target of 64 KiB as malformed.",
    "version-later-minor": (
        "The gate says that it speaks 1.1 and 1.0, and llhttp, the parser beneath both, knows no other; "
        "no later minor version exists."
    ),
    "version-other-major": (
        "uvicorn serves HTTP/0.9 and HTTP/2.0 in the syntax of 1.1, and says 400 to the others."
    ),
    "version-of-another-protocol": (
        "uvicorn serves RTSP and ICE as if they were HTTP/1.0, since its parser hides the protocol's name."
    ),
    "version-missing": "uvicorn serves a line of HTTP/0.9, with headers and a body behind it.",
    "request-line-white-space": (
        "uvicorn takes two spaces for one; two servers in a row may then see two targets."
    ),
    "line-end-bare-cr-last": (
        "Which of the two sees the broken end before the client's is chance; both serve nothing."
    ),
    "host-missing": "uvicorn leaves Host to the application.",
    "host-doubled": "uvicorn leaves Host to the application.",
    "host-invalid": "uvicorn leaves Host to the application.",
    "fields-too-many": f"{_LIMITED}, and 100 fields; 431 past either.",
    "content-length-too-small": (
        "uvicorn drops the answer to the good request when the bytes behind it are none; the gate "
        "gives both answers."
    ),
    "transfer-encoding": f"A tab before `chunked` is white space like any other, but {_LLHTTP}.",
    "transfer-encoding-unknown": (
        "uvicorn takes the coded body for the plain one: the gate has no coding but chunked."
    ),
    "transfer-encoding-sloppy": (
        "Only `chunked` alone is taken; who writes lists with empty members is told so."
    ),
    "transfer-encoding-in-1.0": "uvicorn serves it and closes, the other choice that the RFC gives.",
    "chunk-size-huge": _UNCOUNTED,
    "chunk-extension-long": f"{_LIMITED}, for what is in a chunked body beside its data as well.",
    "trailers": (
        f"A trailer cannot change how a body is framed, and would be forgotten; {_LLHTTP}, which is on"
        " the safe side."
    ),
    "trailers-too-large": f"{_LIMITED}, for trailers as well.",
    "expect-unknown": "An expectation that cannot be met is told (417); uvicorn leaves it out of account.",
    "upgrade": "uvicorn takes the body of a request with Upgrade for another protocol, and loses it.",
    "upgrade-then-more": "uvicorn stops reading behind a request with Upgrade, and loses the next one.",
    "crlf-before-many": (
        "Empty lines are skipped, bare LF and CR are not taken for such; uvicorn skips any number of either."
    ),
    "cut-off": _UNCOUNTED,
    "cut-off-second": _UNCOUNTED,
    "another-protocol": (
        "HTTP/2 is told that it is the version; uvicorn serves a line of HTTP/0.9, and says 400 to HTTP/2."
    ),
}
