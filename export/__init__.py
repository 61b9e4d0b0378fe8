"""Trained networks become streaming bundles."""

INSTALL = "pip install -c constraints.txt 'emotion-edge[export]'"
