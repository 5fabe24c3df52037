"""Print the headers with which QuickNode Streams would send a body now.

python3 sign_as_quicknode.py FILE_OF_SECRETS BODY | curl -H @- --data-binary @BODY …

Of several secrets the last is used; empty lines and those that begin with # are none.
"""

import hmac
import secrets
import sys
import time
from pathlib import Path

try:
    file, body = map(Path, sys.argv[1:])
except ValueError:
    sys.exit("usage: sign_as_quicknode.py FILE_OF_SECRETS BODY")
lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
usable = [line for line in lines if line and not line.startswith("#")]
if not usable:
    sys.exit(f"{file} holds no secret")
secret = usable[-1]
nonce, second = secrets.token_hex(8), str(int(time.time()))
signed = (nonce + second).encode() + body.read_bytes()
print(f"x-qn-nonce: {nonce}")
print(f"x-qn-timestamp: {second}")
print(f"x-qn-signature: {hmac.new(secret.encode(), signed, 'sha256').hexdigest()}")
