"""Tables and figures of a paper from finished experiments: one folder, one page, every number from stored scores."""

from akd_toolkit.evaluate.paper.cited import grade, read_cited
from akd_toolkit.evaluate.paper.report import write_paper

__all__ = ["grade", "read_cited", "write_paper"]
