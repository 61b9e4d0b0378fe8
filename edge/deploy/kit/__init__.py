"""A kit: one package that a board unpacks and runs."""
