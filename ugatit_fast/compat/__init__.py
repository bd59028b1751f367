"""The published repositories' command line and folders, for scripts that were written for them."""
