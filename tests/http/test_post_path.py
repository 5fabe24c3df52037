"""How far a reader has to go to follow one post: the files and functions of app/ that it passes."""

import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "post_path.py"
# Each number may fall; one that has to rise is a sign of a detour. (Not so the last two times: the answer to
# a claim is held against what was told before, so that a store that has gone back is noticed; partitions have
# a file of their own. A claim goes by the format of the oldest gate at work, is counted against the calls its
# store may have under way, and fails at once where its partition is down. The time of a request begins with
# the end of its body, which the middleware sees pass.)
MOST = {"fast path": (32, 109), "ordinary way": (41, 193)}


def test_a_single_post_passes_no_more_files_and_functions_than_it_did() -> None:
    command = [sys.executable, str(SCRIPT)]
    told = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=True
    )
    counts = {
        way: (int(files), int(functions))
        for way, files, functions in re.findall(r"(.+): (\d+) files, (\d+) functions", told.stdout)
    }
    assert counts.keys() == MOST.keys()
    for way, (files, functions) in counts.items():
        assert 10 < files <= MOST[way][0], f"{way}: {files} files"
        assert 50 < functions <= MOST[way][1], f"{way}: {functions} functions"
