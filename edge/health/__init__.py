"""Health figures, load control and restarts of a service."""
