"""Installing the program on a board."""
