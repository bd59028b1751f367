"""How fast every engine is here, against every rival this machine can run, and against what the hardware allows.

    contenders -> race (one process each, interleaved rounds, correctness first) -> results -> tables, charts, compare

`suite.py` is the whole run; everything else is one part of that sentence. Rivals and engines are rows of one table in
`contenders.py`, whose entries import their libraries only in the process that times them.
"""
