"""What every benchmark shares: statistics, the report, the harness, and the stages of a frame."""
