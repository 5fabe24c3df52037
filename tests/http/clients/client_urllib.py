"""Python's urllib, which closes each connection behind one answer."""

import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

opener = build_opener(ProxyHandler({}))


def send(method: str, url: str, media_type: str, authorization: str, file: str) -> tuple[int, str]:
    """The status and the body of the answer."""
    headers = {"Content-Type": media_type, "Authorization": authorization}
    chosen = {name: value for name, value in headers.items() if value != "-"}
    body = None if file == "-" else Path(file).read_bytes()
    try:
        with opener.open(Request(url, body, chosen, method=method)) as response:
            return response.status, response.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, repr(error)


for line in sys.stdin:
    name, *fields = line.rstrip("\n").split("\t")
    print(name, *send(*fields), sep="\t", flush=True)  # noqa: T201  what a program says
