"""The library requests, with a session that keeps connections."""

import sys
from pathlib import Path

import requests

session = requests.Session()
session.trust_env = False


def send(method: str, url: str, media_type: str, authorization: str, file: str) -> tuple[int, str]:
    """The status and the body of the answer."""
    headers = {"Content-Type": media_type, "Authorization": authorization}
    chosen = {name: value for name, value in headers.items() if value != "-"}
    body = None if file == "-" else Path(file).read_bytes()
    try:
        response = session.request(method, url, data=body, headers=chosen)
    except requests.RequestException as error:
        return 0, repr(error)
    return response.status_code, response.text


for line in sys.stdin:
    name, *fields = line.rstrip("\n").split("\t")
    print(name, *send(*fields), sep="\t", flush=True)  # noqa: T201  what a program says
