"""Tables, pictures and pages made from per-utterance scores, and from nothing else."""

from akd_toolkit.report.comparison import compare, mean_agreement
from akd_toolkit.report.page import write_report
from akd_toolkit.report.plots import plot_confusion, plot_teacher_weights, plot_training
from akd_toolkit.report.results import append_results, read_results, results_row
from akd_toolkit.report.scores_file import (
    check_scores,
    label_order_of,
    make_scores,
    read_scores,
    write_scores,
)
from akd_toolkit.report.summary import summarise
from akd_toolkit.report.tables import check_readme, markdown_table, results_table_markdown, sync_readme

__all__ = [
    "append_results",
    "check_readme",
    "check_scores",
    "compare",
    "label_order_of",
    "make_scores",
    "markdown_table",
    "mean_agreement",
    "plot_confusion",
    "plot_teacher_weights",
    "plot_training",
    "read_results",
    "read_scores",
    "results_row",
    "results_table_markdown",
    "summarise",
    "sync_readme",
    "write_report",
    "write_scores",
]
