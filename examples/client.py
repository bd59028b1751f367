"""Ask a running `ugatit-fast serve` with the standard library: python client.py PHOTO OUTPUT [ADDRESS] [API_KEY]"""

import mimetypes
import sys
from pathlib import Path
from urllib.request import Request, urlopen

photo, output, *more = sys.argv[1:]
address, key = (*more, *["http://127.0.0.1:8000", ""][len(more) :])
headers = {"Content-Type": mimetypes.guess_type(photo)[0] or "image/jpeg", "Accept": "image/png"}
if key:
    headers["Authorization"] = f"Bearer {key}"
request = Request(f"{address}/v1/translate", Path(photo).read_bytes(), headers)
with urlopen(request, timeout=60) as answer:
    Path(output).write_bytes(answer.read())
