"""What every recipe's train.py ends with: the report, the row of results, and a clean way to stop."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from akd_toolkit.data.synthetic import generate_corpus
from akd_toolkit.data.watermark import MARK, is_marked, marked
from akd_toolkit.experiment.protocol import NestedCrossValidation, recipe_name, system_of
from akd_toolkit.experiment.scores_file import write_scores
from akd_toolkit.mistakes import exit_code
from akd_toolkit.report import append_results, results_row, summarise, write_report
from akd_toolkit.report.results import ABLATION
from akd_toolkit.teachers import teacher_params

logger = logging.getLogger(__name__)

HOW_CHOSEN = {
    False: "This run compared no candidates.",
    True: "Candidates were chosen on inner folds of the training speakers alone; each outer test was scored once.",
}


def run_recipe(main: Callable[[list[str]], None]) -> int:
    """Call ``main`` with the command line and return the exit code, as ``mistakes.exit_code`` does."""
    return exit_code(lambda: main(sys.argv[1:]))


def debug_corpus(config, layout: str) -> Path:
    """The tiny generated corpus of ``--debug``, named as the recipe's own corpus names its files.

    It has every speaker of the folds; where they are more than twelve, each says but one sentence an emotion.
    """
    folder = Path(config["output_folder"]) / "corpus"
    speakers = [str(speaker) for group in config["outer_folds"] for speaker in group]
    return generate_corpus(
        folder,
        speakers=speakers,
        emotions=tuple(config["label_order"]),
        utterances_per_speaker_and_emotion=2 if len(speakers) <= 12 else 1,
        layout=layout,
    )


def report_student(
    protocol: NestedCrossValidation, scores: pd.DataFrame, generated: bool = False, title: str = ""
) -> dict:
    """Write the report of a trained student and its row of results, which is returned.

    With ``title`` it is a row of an ablation: the title stands where other recipes name the system.
    """
    config = protocol.config
    runs = protocol.outer_runs()
    teachers = protocol.teacher_scores() if config.get("teachers") else {}
    for name, of_teacher in teachers.items():  # so that a report can be made again without teachers
        write_scores(protocol.folder / "teachers" / name / "scores.csv", of_teacher)
    curves = pd.concat([_curves(run) for run in runs], ignore_index=True)
    teachers = {name: _repeated(of_teacher, config["seeds"]) for name, of_teacher in teachers.items()}
    summary = _write(protocol, scores, generated, title, teachers=teachers, curves=curves, trust=_trust(runs))
    abouts = [run.about() for run in runs]
    row = results_row(
        summary,
        corpus=corpus_of(protocol),
        recipe=ABLATION if title else recipe_name(config),
        system=title or system_of(config),
        student=config["student"]["name"],
        teachers=list(config.get("teachers") or {}),
        params=abouts[0]["num_parameters"],
        minutes=sum(about["seconds"] for about in abouts) / 60,
        commit=protocol.commit,
    )
    _append(config, row)
    return row


def report_teachers(protocol: NestedCrossValidation, generated: bool = False) -> dict[str, dict]:
    """Write the report of each teacher alone under the same protocol, and its row of results."""
    summaries = {}
    for title, scores in protocol.teacher_scores().items():
        summaries[title] = _write(protocol, scores, generated, title=title, subfolder=title)
        report_row_of_teacher(protocol, title, scores)
    return summaries


def report_row_of_teacher(protocol: NestedCrossValidation, title: str, scores: pd.DataFrame, system="teacher") -> dict:
    """Write the row of results of one teacher alone, and return it."""
    config = protocol.config
    row = results_row(
        summarise(scores, config["label_order"]),
        corpus=corpus_of(protocol),
        recipe=config.file.stem if system == "teacher" else ABLATION,
        system=system,
        student="",
        teachers=[title],
        params=teacher_params(config.local(config["teachers"][title])),
        minutes=0.0,
        commit=protocol.commit,
    )
    _append(config, row)
    return row


def _write(protocol, scores, generated, title="", subfolder="", teachers=None, curves=None, trust=None) -> dict:
    config = protocol.config
    folder = Path(config["output_folder"]) / subfolder
    summary = write_report(
        folder,
        scores,
        config["label_order"],
        title=f"{corpus_of(protocol)}: {title or recipe_name(config)}",
        protocol=HOW_CHOSEN[len(protocol.candidates) > 1],
        generated=generated,
        teachers=teachers,
        curves=curves,
        teacher_weights=trust,
    )
    write_scores(folder / "scores.csv", scores)
    logger.info(
        "%s: WA %.1f, UA %.1f pooled over %d utterances %s; see %s",
        *(title or recipe_name(config), 100 * summary["wa_pooled"], 100 * summary["ua_pooled"]),
        *(summary["utterances"], _unseen(protocol, summary), folder / "report.md"),
    )
    return summary


def corpus_of(protocol: NestedCrossValidation) -> str:
    """The corpus's name as tables give it: with the watermark's mark where scores are not speaker-independent."""
    return marked(protocol.manifest.corpus, protocol.config.get("speaker_independent", True))


def _unseen(protocol, summary: dict) -> str:
    return f"({MARK})" if is_marked(corpus_of(protocol)) else f"of {summary['speakers']} unseen speakers"


def _append(config, row: dict) -> None:
    if config.get("results_file"):
        append_results(config["results_file"], row)


def _curves(run) -> pd.DataFrame:
    """Rows of metrics.csv in long form, without the per-class trust."""
    wide = pd.read_csv(run.folder / "metrics.csv")
    wide = wide[[name for name in wide.columns if name.count("/") < 2]]
    long = wide.melt(id_vars="epoch", var_name="part", value_name="value")
    return long.assign(split="train", fold=run.fold, seed=run.seed)


def _trust(runs) -> pd.DataFrame | None:
    """Trust in each teacher by class and epoch, of every run; None where there was nothing to weigh."""
    tables = []
    for run in runs:
        wide = pd.read_csv(run.folder / "metrics.csv")
        parts = [name for name in wide.columns if name.count("/") == 2]  # trust/<teacher>/<label>
        long = wide.melt("epoch", parts, var_name="part", value_name="weight").dropna()
        long["teacher"], long["label"] = long["part"].str.split("/").str[1], long["part"].str.split("/").str[2]
        tables.append(long.drop(columns="part").assign(fold=run.fold, seed=run.seed))
    trust = pd.concat(tables, ignore_index=True)
    if trust["teacher"].nunique() < 2:
        return None
    # Shares that were rounded while training sum to nearly 1.
    trust["weight"] /= trust.groupby(["fold", "seed", "epoch", "label"])["weight"].transform("sum")
    order = {label: place for place, label in enumerate(runs[0].manifest.label_order)}
    return trust.sort_values("label", key=lambda labels: labels.map(order), kind="stable", ignore_index=True)


def _repeated(scores: pd.DataFrame, seeds: list[int]) -> pd.DataFrame:
    """A teacher's scores once for each seed, so that they pair with a student's."""
    return pd.concat([scores.assign(seed=seed) for seed in seeds], ignore_index=True)
