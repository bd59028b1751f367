"""What people call weights -> files of this machine. Needs no PyTorch.

    known.toml, known.py   the networks that are known to exist, by name
    hub.py                 hf://ORG/REPO[@REVISION][/FILE]
    web.py                 https://..., fetched once
    archives.py            zip and tar files, read with suspicion
    choice.py              the one checkpoint among many files
    locate.py              all of these, told apart

What is in the files is for `checkpoint` to say. What serves pictures doesn't know this room: a server fetches nothing.
"""
