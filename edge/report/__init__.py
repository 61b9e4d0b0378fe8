"""Pages that people read: one way to render them, one style."""
