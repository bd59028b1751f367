"""Ask a running `ugatit-fast serve` with the standard library: python client.py PHOTO OUTPUT [ADDRESS] [API_KEY]"""

import mimetypes
from argparse import ArgumentParser
from pathlib import Path
from urllib.request import Request, urlopen

parser = ArgumentParser(description=__doc__)
parser.add_argument("photo", type=Path)
parser.add_argument("output", type=Path)
parser.add_argument("address", nargs="?", default="http://127.0.0.1:8000")
parser.add_argument("key", nargs="?", metavar="api_key")
chosen = parser.parse_args()
headers = {"Content-Type": mimetypes.guess_type(chosen.photo)[0] or "image/jpeg", "Accept": "image/png"}
if chosen.key:
    headers["Authorization"] = f"Bearer {chosen.key}"
request = Request(f"{chosen.address}/v1/translate", chosen.photo.read_bytes(), headers)
with urlopen(request, timeout=60) as answer:
    chosen.output.write_bytes(answer.read())
