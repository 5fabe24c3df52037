"""Count the files and functions of app/ that a single POST /transactions passes, from the socket and back.

The real command runs in this process with its embedded store. After warming up, posts come one by one on a
kept connection; what every one of them calls is counted, so that a timer in between does not count.

    python scripts/post_path.py            # the fast path, then the ordinary way
    python scripts/post_path.py --files    # with the files and how many functions of each
"""

import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import app
from app.cli.serve import run as serve

APP = f"{Path(app.__file__).parent}{os.sep}"
WARM, COUNTED = 50, 20
# The fast path takes a body that begins with its bracket; white space before it makes a post an ordinary one.
WAYS = {"fast path": "", "ordinary way": " "}

Function = tuple[str, str]


class Recorder:
    """The functions of app/ that are called while it records."""

    def __init__(self) -> None:
        self.called: set[Function] | None = None

    def profile(self, frame: FrameType, event: str, _: Any) -> None:
        """Note a call (sys.setprofile)."""
        called, code = self.called, frame.f_code
        if event == "call" and called is not None and code.co_filename.startswith(APP):
            called.add((code.co_filename.removeprefix(APP), code.co_qualname))


def post(connection: socket.socket, signature: str, before: str) -> None:
    """Post one transaction in one segment, and read its answer."""
    item = {"signature": signature, "source": "helius-a", "payload": {"fee": 25000}}
    body = before + json.dumps(item)
    head = f"POST /transactions HTTP/1.1\r\nHost: gate\r\nContent-Length: {len(body)}\r\n"
    connection.sendall(f"{head}Content-Type: application/json\r\n\r\n{body}".encode())
    answer = connection.recv(65536)
    if b" 200 OK" not in answer:
        raise SystemExit(f"answered {answer!r}")
    time.sleep(0.01)  # for what comes after the answer


def posts(recorder: Recorder, port: int, before: str) -> set[Function]:
    """Return what each of the counted posts called."""
    passed: list[set[Function]] = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for number in range(WARM):
            post(connection, f"warm-{len(before)}-{number}", before)
        for number in range(COUNTED):
            recorder.called = set()
            post(connection, f"counted-{len(before)}-{number}", before)
            passed.append(recorder.called)
            recorder.called = None
    return set.intersection(*passed)


def report(way: str, passed: set[Function], with_files: bool) -> None:
    """Print the counts; comprehensions are no functions."""
    functions = {one for one in passed if not one[1].endswith(("comp>", "genexpr>"))}
    files = Counter(file for file, _ in functions)
    print(f"{way}: {len(files)} files, {len(functions)} functions")
    if with_files:
        for file, number in sorted(files.items()):
            print(f"  {file:40} {number}")


def is_listening(port: int) -> bool:
    """Tell whether the gate takes connections."""
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def drive(recorder: Recorder, port: int) -> None:
    """Post both ways when the gate is up, then stop it."""
    try:
        while not is_listening(port):
            time.sleep(0.1)
        for way, before in WAYS.items():
            report(way, posts(recorder, port, before), "--files" in sys.argv)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)


def main() -> int:
    """Run the gate in this thread, which is the one that is watched, and post from another one."""
    with socket.socket() as found, tempfile.TemporaryDirectory() as folder:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
        found.close()
        os.chdir(folder)
        recorder = Recorder()
        threading.Thread(target=drive, args=(recorder, port), daemon=True).start()
        sys.setprofile(recorder.profile)
        code = serve({"port": port, "log_level": "error"}, insecure=False)
        sys.setprofile(None)
    return code


if __name__ == "__main__":
    sys.exit(main())
