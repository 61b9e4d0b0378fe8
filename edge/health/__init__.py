"""What a service tells its supervisor and its log."""
