"""The one set of checks that says what is wrong with a board, for every command that wants to know."""

from edge.doctor.examination import examine
from edge.system.finding import Finding, worst

__all__ = ["Finding", "examine", "worst"]
