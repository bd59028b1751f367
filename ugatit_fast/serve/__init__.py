"""The server: photos over HTTP through one or two engines, and a page to try them on.

request -> guard (host, key) -> upload (limits) -> service (decode, queue, engine, encode) -> response
"""
