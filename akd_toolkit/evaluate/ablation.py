"""An ablation: one recipe with one thing changed in every row, on the same folds and seeds."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pandas as pd

from akd_toolkit.data.manifest import Manifest, marked
from akd_toolkit.evaluate.report.ablation_report import write_ablation
from akd_toolkit.evaluate.report.experiment_report import report_row_of_teacher, report_student
from akd_toolkit.evaluate.studies.shares import shares_study
from akd_toolkit.experiment.config import Config, row_overrides
from akd_toolkit.experiment.paths import ExperimentPaths
from akd_toolkit.experiment.plan import speakers_known
from akd_toolkit.experiment.protocol import NestedCrossValidation
from akd_toolkit.experiment.run import Run
from akd_toolkit.experiment.scores_file import write_scores
from akd_toolkit.experiment.stored import Experiment

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Row:
    """One row of an ablation."""

    title: str
    group: str  # its heading
    against: str | None  # title of the row that it is compared with
    config: Config  # the recipe with the row's overrides and an output folder of its own


def rows_of(config: Config) -> list[Row]:
    """The rows that the YAML lists, in its order."""
    rows, group = [], ""
    for row in config["rows"]:
        group = row.get("group", group)
        folder = ExperimentPaths(config["output_folder"]).row(row["title"])
        own = config.overridden({**row_overrides(row), "output_folder": str(folder)})
        rows.append(Row(row["title"], group, row.get("against"), own))
    titles, folders = [row.title for row in rows], [row.config["output_folder"] for row in rows]
    for title in config["only"] or []:
        if title not in titles:
            raise ValueError(f"only: there is no row '{title}'; the rows are {', '.join(titles)}.")
    for row, folder in zip(rows, folders):
        if folders.count(folder) > 1:
            raise ValueError(f"rows: '{row.title}' is listed twice, or shares its folder with another; rename it.")
        if row.against is not None and row.against not in titles:
            raise ValueError(f"rows: '{row.title}' is compared with '{row.against}', but there is no such row.")
    return rows


def run_ablation(config: Config, manifest: Manifest, train: Callable[[Run], None]) -> None:
    """Run every row that is not done, in the order of the YAML, and write the report after each.

    ``train`` is given one ``Run`` and must end with ``run.save(...)``. A row without a student is its teachers.
    """
    rows, done, known = rows_of(config), [], speakers_known(config, manifest)
    paths, wanted = ExperimentPaths(config["output_folder"]), config["only"] or [row.title for row in rows]
    about = {"title": f"{marked(manifest.corpus, known)}: {config.file.stem}", "generated": manifest.generated}
    report = partial(write_ablation, paths.folder, done, config["label_order"], speakers_known=known, **about)
    for number, row in enumerate(rows, start=1):
        if row.title not in wanted and not ExperimentPaths(row.config["output_folder"]).exists:
            continue  # not started
        protocol = NestedCrossValidation(row.config, manifest)
        waiting = any(not run.done for run in protocol.all_runs())
        if waiting and row.title not in wanted:
            continue
        logger.info("row %d of %d: %s", number, len(rows), row.title)
        if row.config["student"] is None:
            for title, scores in protocol.teacher_scores().items():
                write_scores(protocol.experiment.paths.teacher_scores(title), scores)
                name = f"{row.title}: {title}"
                done.append(_entry(row, name, scores, report_row_of_teacher(protocol, title, scores, system=name)))
        else:
            scores = protocol.run(train)
            done.append(_entry(row, row.title, scores, report_student(protocol, scores, row.title)))
        if waiting and row is not rows[-1]:
            report(planned=len(done) + len(rows) - number)
    report(planned=max(len(done), len(rows)))
    if len({row.config["label_share"] for row in rows}) > 1 and any(row["student"] for row in done):
        logger.info("see %s", shares_study([Experiment.read(place) for place in paths.rows()], paths.study("")))
    logger.info("see %s", paths.ablation_report)


def _entry(row: Row, title: str, scores: pd.DataFrame, result: dict) -> dict:
    kept = {key: result[key] for key in ("student", "teachers", "params", "minutes")}
    return {"title": title, "group": row.group, "against": row.against, "scores": scores, **kept}
