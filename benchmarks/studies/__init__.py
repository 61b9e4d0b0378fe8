"""One-off studies that back up design decisions; each runs as a module."""
