"""Renders HTML pages, all in one style."""
