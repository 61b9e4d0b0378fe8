"""Frames to measure on."""
