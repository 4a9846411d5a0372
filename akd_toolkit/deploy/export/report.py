"""Results of an export as data and as one table."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from akd_toolkit.data.audio import SAMPLE_RATE_HZ
from akd_toolkit.deploy.export.parity import ParityReport, check_decisions
from akd_toolkit.evaluate.report.tables import markdown_table
from akd_toolkit.metrics import ua, wa


@dataclass(frozen=True)
class ExportReport:
    """A written file and how it compares with its module."""

    file: Path
    format: str
    precision: str
    size_bytes: int
    speech: str  # description of what was compared
    parity: ParityReport
    batch_difference: float  # of a probability of an utterance in a batch and alone
    decisions: pd.DataFrame = field(repr=False)  # utterance; before, after and perhaps truth: class indices

    @property
    def changed(self) -> int:
        """Number of utterances with another decision."""
        return int((self.decisions["before"] != self.decisions["after"]).sum())

    def as_dict(self) -> dict:
        """Plain data, without the machine's folders."""
        return {
            "file": self.file.name,
            "format": self.format,
            "precision": self.precision,
            "size_bytes": self.size_bytes,
            "speech": self.speech,
            "parity": self.parity.as_dict(),
            "batch_difference": self.batch_difference,
            "utterances": len(self.decisions),
            "changed_decisions": self.changed,
            **scores_of(self.decisions),
        }


def scores_of(decisions: pd.DataFrame) -> dict[str, float]:
    """``wa_before``, ``wa_after``, ``ua_before`` and ``ua_after``; empty where the truth is not known."""
    if "truth" not in decisions:
        return {}
    return {
        f"{name}_{when}": float(measure(decisions["truth"], decisions[when]))
        for name, measure in (("wa", wa), ("ua", ua))
        for when in ("before", "after")
    }


def check_together(reports: list[ExportReport]) -> None:
    """Raise ValueError if the pooled decisions of all files are beyond their tolerance; the files stay.

    A loss that may be chance in one run can be significant over fifteen.
    """
    decisions = pd.concat([report.decisions for report in reports])
    columns = (decisions.get(name) for name in ("before", "after", "truth"))
    try:
        check_decisions("the set of all files", reports[0].precision, *columns)
    except ValueError as error:
        raise ValueError(f"{error} Each file passed by itself, so all were written.") from None


def as_table(reports: list[ExportReport]) -> str:
    """One row per file, and one for all utterances pooled where there are several files."""
    first = reports[0]
    header = ["file", "KB", "largest difference: probability", "logit", "changed decisions", "WA, %", "UA, %"]
    if len(reports) == 1:
        rows, speech = [_row(first.file.name, reports)], first.speech
    else:
        shared = Path(os.path.commonpath([report.file.parent for report in reports]))
        rows = [_row(str(report.file.relative_to(shared)), [report]) for report in reports]
        rows.append(_row("all, pooled", reports))
        speech = first.speech.partition(",")[0] + ", each run's held-out speakers"
    lengths = [samples / SAMPLE_RATE_HZ for samples in first.parity.lengths]
    sentence = (
        f"{first.format} in {first.precision} compared with its module. Differences: {first.parity.num_waveforms} "
        f"pieces of speech of {min(lengths):g} to {max(lengths):g} s in batches of "
        f"{', '.join(map(str, first.parity.batch_sizes))}. Decisions, WA and UA (module -> file): {speech}."
    )
    return f"{sentence}\n\n{markdown_table(header, rows)}\n"


def _row(name: str, reports: list[ExportReport]) -> list[str]:
    decisions = pd.concat([report.decisions for report in reports])
    total, changed = len(decisions), sum(report.changed for report in reports)
    scores = {key: f"{100 * value:.2f}" for key, value in scores_of(decisions).items()}
    return [
        name,
        f"{sum(report.size_bytes for report in reports) / len(reports) / 1000:.0f}",
        f"{max(report.parity.largest_difference for report in reports):.1e}",
        f"{max(report.parity.largest_logit_difference for report in reports):.1e}",
        f"{changed} of {total} ({100 * changed / total:.2f} %)",
        *(f"{scores[f'{key}_before']} -> {scores[f'{key}_after']}" if scores else "-" for key in ("wa", "ua")),
    ]
