"""More engines than one process can hold, on Ray: the same server, the same translation of folders, by many at once."""
