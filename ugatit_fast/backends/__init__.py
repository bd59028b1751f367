"""The runtimes an engine can run on, one short file each, imported when asked for."""
