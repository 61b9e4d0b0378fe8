"""The machine that is measured: what it is, its clocks, temperatures and power."""
