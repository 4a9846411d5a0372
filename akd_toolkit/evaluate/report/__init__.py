"""Reports: scores of a system, comparisons, tables, plots, and the pages made of them."""

from akd_toolkit.evaluate.report.ablation_report import ablation_markdown, read_ablation, write_ablation
from akd_toolkit.evaluate.report.results import (
    append_results,
    check_ablation,
    check_readme,
    publish_results,
    read_results,
    results_row,
    results_table_markdown,
    sync_readme,
)
from akd_toolkit.evaluate.report.summary import compare, mean_agreement, summarise
from akd_toolkit.evaluate.report.tables import markdown_table

__all__ = [
    "ablation_markdown",
    "append_results",
    "check_ablation",
    "check_readme",
    "compare",
    "markdown_table",
    "mean_agreement",
    "publish_results",
    "read_ablation",
    "read_results",
    "results_row",
    "results_table_markdown",
    "summarise",
    "sync_readme",
    "write_ablation",
]
