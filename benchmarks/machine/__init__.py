"""The machine under test: what it is, its clocks, temperatures and power."""
