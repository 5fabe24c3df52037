"""curl, started for each request with the options of the command line, as scripts do."""

import subprocess
import sys


def send(method: str, url: str, media_type: str, authorization: str, file: str) -> tuple[str, str]:
    """The status and the body of the answer."""
    options = ["--head"] if method == "HEAD" else ["--request", method]
    for name, value in (("Content-Type", media_type), ("Authorization", authorization)):
        options += ["--header", f"{name}: {value}"] if value != "-" else []
    options += ["--data-binary", f"@{file}"] if file != "-" else []
    told = [
        "curl",
        "--silent",
        "--show-error",
        "--noproxy",
        "*",
        "--write-out",
        "\n%{http_code}",
        *sys.argv[1:],
    ]
    done = subprocess.run(
        [*told, *options, url], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    body, _, status = done.stdout.rpartition("\n")
    return (status, body) if done.returncode == 0 else ("0", f"{status} {done.stderr.strip()}")


for line in sys.stdin:
    name, *fields = line.rstrip("\n").split("\t")
    status, body = send(*fields)
    print(name, status, "" if fields[0] == "HEAD" else body, sep="\t", flush=True)  # noqa: T201  what a program says
