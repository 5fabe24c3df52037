"""Print the headers with which QuickNode Streams would send a body now.

python3 sign_as_quicknode.py FILE_OF_SECRETS BODY | curl -H @- --data-binary @BODY …
"""

import hmac
import secrets
import sys
import time
from pathlib import Path

secret = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()[-1].strip()
nonce, second = secrets.token_hex(8), str(int(time.time()))
signed = (nonce + second).encode() + Path(sys.argv[2]).read_bytes()
print(f"x-qn-nonce: {nonce}")
print(f"x-qn-timestamp: {second}")
print(f"x-qn-signature: {hmac.new(secret.encode(), signed, 'sha256').hexdigest()}")
