"""Outputs for estimates."""
