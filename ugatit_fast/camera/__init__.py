"""A camera through an engine, live, on a page of this machine's own: `ugatit-fast camera`."""
