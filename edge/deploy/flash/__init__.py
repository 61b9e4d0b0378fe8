"""Flashing: what is checked before the vendor's own flasher runs, and what goes into its root file system."""
