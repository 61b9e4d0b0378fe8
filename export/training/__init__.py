"""The reference family and its training, from the data file to a bundle."""
