"""A report for people: words, plots and one page."""
