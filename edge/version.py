"""The version of this package and the day of its release; everything may import it."""

__version__ = "0.2.0"
# In UTC. Whatever is made of a version bears this time, so that the same is made next year.
RELEASED = "2026-11-29"
