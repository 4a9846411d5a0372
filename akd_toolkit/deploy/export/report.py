"""What `akd export` tells of the files that it wrote, one by one and together."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from akd_toolkit.data.audio import SAMPLE_RATE_HZ
from akd_toolkit.deploy.export.parity import ParityReport
from akd_toolkit.deploy.export.tolerance import check_decisions
from akd_toolkit.evaluate.report.tables import markdown_table
from akd_toolkit.metrics import ua, wa


@dataclass(frozen=True)
class ExportReport:
    """What was written, and how it compares with its module.

    Arguments
    ---------
    speech
        What both have heard.
    decisions
        One row an utterance of that speech: ``utterance``, ``before`` and ``after`` (indices of classes), and
        ``truth`` where it is known.
    batch_difference
        Largest difference of a probability between an utterance in a batch and alone.
    """

    file: Path
    format: str
    precision: str
    size_bytes: int
    speech: str
    parity: ParityReport
    batch_difference: float
    decisions: pd.DataFrame = field(repr=False)

    @property
    def changed(self) -> int:
        """Utterances that the file decides otherwise than the module."""
        return int((self.decisions["before"] != self.decisions["after"]).sum())

    def as_dict(self) -> dict:
        """Plain data, without the machine's folders."""
        told = {
            "file": self.file.name,
            "format": self.format,
            "precision": self.precision,
            "size_bytes": self.size_bytes,
            "speech": self.speech,
            "parity": self.parity.as_dict(),
            "batch_difference": self.batch_difference,
            "utterances": len(self.decisions),
            "changed_decisions": self.changed,
        }
        return {**told, **scores_of(self.decisions)}


def scores_of(decisions: pd.DataFrame) -> dict[str, float]:
    """WA and UA of the module and of the file; {} where the truth is not known.

    Example
    -------
    >>> scores_of(pd.DataFrame({"truth": [0, 0, 0, 1], "before": [0, 0, 0, 1], "after": [0, 0, 1, 1]}))
    {'wa_before': 1.0, 'wa_after': 0.75, 'ua_before': 1.0, 'ua_after': 0.8333333333333333}
    """
    if "truth" not in decisions:
        return {}
    return {
        f"{name}_{when}": float(measure(decisions["truth"], decisions[when]))
        for name, measure in (("wa", wa), ("ua", ua))
        for when in ("before", "after")
    }


def check_together(reports: list[ExportReport]) -> None:
    """Refuse the files of an experiment that pass one by one and together lose more than their precision may.

    Few utterances prove little (``export.tolerance``): what may be chance in each run is none in fifteen of them.

    Raises
    ------
    ValueError
        If their pooled decisions are beyond the tolerance. The files stay where they are.
    """
    decisions = _pooled(reports)
    truth = decisions.get("truth")
    try:
        check_decisions(
            "the set of all files together", reports[0].precision, decisions["before"], decisions["after"], truth
        )
    except ValueError as error:
        raise ValueError(f"{error} Each passed by itself, so all stay where they were written.") from None


def as_table(reports: list[ExportReport]) -> str:
    """One row a file, and one for all their utterances together where there are several."""
    header = ["file", "KB", "largest difference: probability", "logit", "changed decisions", "WA, %", "UA, %"]
    rows = [_row(_place(report, reports), report.size_bytes, [report], report.decisions) for report in reports]
    if len(reports) > 1:
        size = sum(report.size_bytes for report in reports) / len(reports)
        rows.append(_row("all, pooled", size, reports, _pooled(reports)))
    first = reports[0]
    lengths, batches = first.parity.lengths, first.parity.batch_sizes
    heard = first.speech if len(reports) == 1 else first.speech.partition(",")[0] + ", each run's held-out speakers"
    sentence = (
        f"{first.format} in {first.precision} against its module. Differences: {first.parity.num_waveforms} pieces of "
        f"speech of {min(lengths) / SAMPLE_RATE_HZ:g} to {max(lengths) / SAMPLE_RATE_HZ:g} s in batches of "
        f"{', '.join(map(str, batches))}. Decisions, WA and UA (module -> file): {heard}."
    )
    return f"{sentence}\n\n{markdown_table(header, rows)}\n"


def _pooled(reports: list[ExportReport]) -> pd.DataFrame:
    return pd.concat([report.decisions for report in reports], ignore_index=True)


def _place(report: ExportReport, reports: list[ExportReport]) -> str:
    """Name of the file, with as much of its folder as tells it from the others."""
    if len(reports) == 1:
        return report.file.name
    shared = Path(os.path.commonpath([other.file.parent for other in reports]))
    return str(report.file.relative_to(shared))


def _row(name: str, size_bytes: float, reports: list[ExportReport], decisions: pd.DataFrame) -> list[str]:
    total, changed = len(decisions), int((decisions["before"] != decisions["after"]).sum())
    scores = {key: f"{100 * value:.2f}" for key, value in scores_of(decisions).items()}
    return [
        name,
        f"{size_bytes / 1000:.0f}",
        f"{max(report.parity.largest_difference for report in reports):.1e}",
        f"{max(report.parity.largest_logit_difference for report in reports):.1e}",
        f"{changed} of {total} ({100 * changed / total:.2f} %)",
        *(f"{scores[f'{key}_before']} -> {scores[f'{key}_after']}" if scores else "-" for key in ("wa", "ua")),
    ]
