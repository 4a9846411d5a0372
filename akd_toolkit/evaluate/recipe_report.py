"""What a recipe leaves for readers: its report and its row of results."""

import logging
from pathlib import Path

import pandas as pd

from akd_toolkit.data.watermark import MARK
from akd_toolkit.evaluate.report import append_results, results_row, summarise, write_report
from akd_toolkit.evaluate.report.histories import chosen_inner_runs, histories
from akd_toolkit.evaluate.report.results import ABLATION
from akd_toolkit.experiment.paths import ExperimentPaths
from akd_toolkit.experiment.protocol import NestedCrossValidation
from akd_toolkit.experiment.scores_file import write_scores
from akd_toolkit.teachers import teacher_params

logger = logging.getLogger(__name__)

HOW_CHOSEN = {
    False: "This run compared no candidates.",
    True: "Candidates were chosen on inner folds of the training speakers alone; each outer test was scored once.",
}


def report_student(protocol: NestedCrossValidation, scores: pd.DataFrame, title: str = "") -> dict:
    """Write the report of a trained student and its row of results, which is returned.

    With ``title`` it is a row of an ablation: the title stands where other recipes name the system.
    """
    config, runs = protocol.config, protocol.outer_runs()
    teachers = protocol.teacher_scores() if config["teachers"] else {}
    for name, of_teacher in teachers.items():  # so that a report can be made again without teachers
        write_scores(protocol.experiment.paths.teacher_scores(name), of_teacher)
    teachers = {name: _repeated(of_teacher, config["seeds"]) for name, of_teacher in teachers.items()}
    curves, trust, _ = histories([*runs, *chosen_inner_runs(protocol.experiment.paths, protocol.inner_runs())])
    summary = _write(protocol, scores, title, teachers=teachers, curves=curves, teacher_weights=trust)
    return _append_row(
        protocol,
        summary,
        recipe=ABLATION if title else protocol.experiment.recipe,
        system=title or protocol.experiment.system,
        student=config["student"]["name"],
        teachers=list(config["teachers"] or {}),
        params=runs[0].record.num_parameters,
        minutes=sum(run.record.seconds for run in runs) / 60,
    )


def report_teachers(protocol: NestedCrossValidation) -> dict[str, dict]:
    """Write the report of each teacher alone under the same protocol, and its row of results."""
    summaries = {}
    for title, scores in protocol.teacher_scores().items():
        summaries[title] = _write(protocol, scores, title, folder=protocol.folder / title)
        report_row_of_teacher(protocol, title, scores)
    return summaries


def report_row_of_teacher(protocol: NestedCrossValidation, title: str, scores: pd.DataFrame, system="teacher") -> dict:
    """Write the row of results of one teacher alone, and return it."""
    config = protocol.config
    return _append_row(
        protocol,
        summarise(scores, config["label_order"]),
        recipe=config.file.stem if system == "teacher" else ABLATION,
        system=system,
        student="",
        teachers=[title],
        params=teacher_params(config.local(config["teachers"][title])),
        minutes=0.0,
    )


def _write(protocol, scores: pd.DataFrame, title: str = "", folder: Path | None = None, **shown) -> dict:
    experiment, name = protocol.experiment, title or protocol.experiment.recipe
    paths = ExperimentPaths(folder or protocol.folder)
    summary = write_report(
        paths.folder,
        scores,
        experiment.label_order,
        title=f"{experiment.corpus}: {name}",
        protocol=HOW_CHOSEN[len(experiment.candidates) > 1],
        generated=experiment.manifest.generated,
        speakers_known=experiment.speakers_known,
        **shown,
    )
    write_scores(paths.scores, scores)
    unseen = f"of {summary['speakers']} unseen speakers" if experiment.speakers_known else f"({MARK})"
    logger.info(
        "%s: WA %.1f, UA %.1f pooled over %d utterances %s; see %s",
        *(name, 100 * summary["wa_pooled"], 100 * summary["ua_pooled"], summary["utterances"], unseen, paths.report),
    )
    return summary


def _append_row(protocol: NestedCrossValidation, summary: dict, **facts) -> dict:
    experiment = protocol.experiment
    row = results_row(summary, corpus=experiment.corpus, commit=experiment.environment["commit"], **facts)
    if protocol.config["results_file"]:
        append_results(protocol.config["results_file"], row)
    return row


def _repeated(scores: pd.DataFrame, seeds: list[int]) -> pd.DataFrame:
    """A teacher's scores once for each seed, so that they pair with a student's."""
    return pd.concat([scores.assign(seed=seed) for seed in seeds], ignore_index=True)
