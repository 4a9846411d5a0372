"""What stands beside the scores of an experiment: how far it is, its audit, tables and pictures of its studies."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from akd_toolkit.data.files import written_aside
from akd_toolkit.data.verdicts import Finding, counted, shortened
from akd_toolkit.evaluate.paper.document import Block, Figure, Heading, Items, Table, Text
from akd_toolkit.evaluate.paper.markdown import read_markdown
from akd_toolkit.evaluate.paper.systems import marking, marks_of
from akd_toolkit.evaluate.report.page import percent
from akd_toolkit.evaluate.studies.calibration import BEFORE, STUDY
from akd_toolkit.experiment.plan import PlannedRun
from akd_toolkit.experiment.stored import Experiment

PICTURES = (".png", ".jpg", ".jpeg", ".svg")


def study_blocks(experiment: Experiment, to: str | Path, key: str) -> list[Block]:
    """Every study below the experiment's folder as a part of the report; pictures are copied into ``to``/studies.

    Arguments
    ---------
    key
        Prefix of the copies' names, one for each experiment.

    Raises
    ------
    ValueError
        If a table.md is no text.
    """
    blocks: list[Block] = []
    for page in experiment.paths.study_tables():
        try:
            found = read_markdown(page.read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            raise ValueError(f"{page} is no text; run the study again.") from None
        name = f"{key}-{page.parent.name}"
        marks = marking(marks_of(experiment))
        blocks.append(Heading(f"{marks}{experiment.title}: {page.parent.name}", 3))
        shown, number = set(), 0
        for block in found:
            if isinstance(block, Heading):
                blocks.append(Heading(block.text, 4))
            elif isinstance(block, Table):
                number += 1
                blocks.append(Table(f"study-{name}-{number}", marks.strip(), block.header, block.rows, block.left))
            elif isinstance(block, Figure):
                blocks += _picture(page.parent / Path(block.name).name, to, name, block.alt, marks)
                shown.add(Path(block.name).stem)
            else:
                blocks.append(block)
        for path in sorted(page.parent.glob("*.png")):
            if path.stem not in shown:
                blocks += _picture(path, to, name, f"{page.parent.name}: {path.stem}", marks)
    return blocks


def calibration_bins(experiment: Experiment) -> dict[str, pd.DataFrame]:
    """What a legend says of every condition that the calibration study made -> its bins; none where it was not run.

    Raises
    ------
    ValueError
        If one of its two tables cannot be read.
    """
    folder = experiment.paths.study(STUDY)
    if not (folder / "reliability.csv").is_file():
        return {}
    try:
        bins, table = (pd.read_csv(folder / name) for name in ("reliability.csv", "table.csv"))
        filled = bins[(bins["count"] > 0) & (bins["condition"] != BEFORE)]
        ece = table.set_index("condition")["ece"]
        return {
            f"{condition} temperature: ECE {percent(ece[condition])}": rows.reset_index(drop=True)
            for condition, rows in filled.groupby("condition", sort=False)
        }
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"the calibration study in {folder} cannot be read ({error}); run it again.") from None


def audit_blocks(experiment: Experiment, findings: Sequence[Finding]) -> list[Block]:
    """What the audit proved of an experiment and what it could not, and how many trainings stored one of their own."""
    words = {"leak": "Leaks", "warning": "Warnings", "not_proved": "Could not be proved", "proved": "Proved"}
    counts = {verdict: sum(finding.verdict == verdict for finding in findings) for verdict in words}
    told = counted(counts["leak"], "leak") if counts["leak"] else "no leak"
    rest = f"{counts['proved']} proved, {counted(counts['warning'], 'warning')}, {counts['not_proved']} not provable"
    verdict = f"Verdict: {told} found; {rest}."
    done = [run for run in experiment.runs() if run.done]
    lacking = [run.name for run in done if not _has_audit(run)]
    stored = f"{len(done) - len(lacking)} of {len(done)} finished trainings stored an audit of their own split"
    stored += f"; none, or a damaged one: {', '.join(lacking[:5])}." if lacking else "."
    blocks: list[Block] = [Heading(experiment.title, 3), Text(verdict, warning=bool(counts["leak"])), Text(stored)]
    for kind, title in words.items():
        lines = tuple(f"{one.check}: {one.sentence}" for one in shortened(findings) if one.verdict == kind)
        if lines:
            blocks += [Heading(title, 4), Items(lines)]
    return blocks


def progress_of(experiment: Experiment) -> tuple[str, list[str]]:
    """How much of the plan is done, in words, and the outer trainings that are missing."""
    runs = experiment.outer_runs()
    missing = [run.name.removesuffix("/outer") for run in runs if not run.done]
    told = f"{len(runs) - len(missing)} of {len(runs)} outer trainings" if runs else "teachers alone"
    return told, missing


def _has_audit(run: PlannedRun) -> bool:
    try:
        return bool(run.record.proved or run.record.not_proved)
    except (OSError, ValueError):
        return False


def _picture(path: Path, to: str | Path, name: str, alt: str, marks: str) -> list[Block]:
    """Copy a picture of a study's own folder, and its SVG twin, beside the report."""
    if path.suffix.lower() not in PICTURES or not path.is_file():
        return []
    copied = None
    for suffix in dict.fromkeys([path.suffix, ".png", ".svg"]):
        source = path.with_suffix(suffix)
        if source.is_file():
            target = Path(to) / "studies" / f"{name}-{path.stem}{suffix}"
            with written_aside(target) as aside:
                aside.write_bytes(source.read_bytes())
            copied = copied or f"studies/{target.name}"
    return [Figure(copied, f"{marks}{alt}", alt, themed=False)]
