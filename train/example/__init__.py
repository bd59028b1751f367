"""A data set made without a download."""
