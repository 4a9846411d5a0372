"""Tables, pictures and pages made from per-utterance scores, and from nothing else."""

from akd_toolkit.evaluate.report.ablation import ablation_markdown, read_ablation, write_ablation
from akd_toolkit.evaluate.report.ablation_plot import plot_ablation
from akd_toolkit.evaluate.report.comparison import compare, mean_agreement
from akd_toolkit.evaluate.report.page import write_report
from akd_toolkit.evaluate.report.plots import (
    plot_confusion,
    plot_teacher_weights,
    plot_teacher_weights_epochs,
    plot_training,
)
from akd_toolkit.evaluate.report.readme import check_ablation, check_readme, sync_readme
from akd_toolkit.evaluate.report.results import append_results, publish_results, read_results, results_row
from akd_toolkit.evaluate.report.summary import summarise
from akd_toolkit.evaluate.report.tables import markdown_table, results_table_markdown

__all__ = [
    "ablation_markdown",
    "append_results",
    "check_ablation",
    "check_readme",
    "compare",
    "markdown_table",
    "mean_agreement",
    "plot_ablation",
    "plot_confusion",
    "plot_teacher_weights",
    "plot_teacher_weights_epochs",
    "plot_training",
    "publish_results",
    "read_ablation",
    "read_results",
    "results_row",
    "results_table_markdown",
    "summarise",
    "sync_readme",
    "write_ablation",
    "write_report",
]
