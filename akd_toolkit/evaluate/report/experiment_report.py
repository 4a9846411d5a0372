"""What every recipe writes at its end: report.md with its plots, and its rows of results.csv."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from akd_toolkit.data.files import write_text_aside
from akd_toolkit.data.manifest import MARK, WATERMARK
from akd_toolkit.evaluate.report import plots
from akd_toolkit.evaluate.report.results import ABLATION, append_results, results_row
from akd_toolkit.evaluate.report.summary import concordances, mean_agreement, summarise
from akd_toolkit.evaluate.report.tables import frame_table, markdown_table, over_folds, percent, render, with_limits
from akd_toolkit.experiment.config import Config
from akd_toolkit.experiment.paths import ExperimentPaths
from akd_toolkit.experiment.plan import PlannedRun
from akd_toolkit.experiment.protocol import NestedCrossValidation
from akd_toolkit.experiment.scores_file import attributes_in, write_scores
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.registry import TEACHERS
from akd_toolkit.teachers import teacher_params

logger = logging.getLogger(__name__)

NEAR_CHANCE = 0.05  # UA above 1 / classes that is not called knowledge
VALID = "valid/"  # prefix of the columns of metrics.csv that come from the held-out speakers of an inner split


def write_report(
    experiment: Experiment,
    folder: str | Path,
    scores: pd.DataFrame,
    name: str,
    teachers: Mapping[str, pd.DataFrame] | None = None,
    runs: Sequence[PlannedRun] = (),
    notes: Sequence[str] = (),
) -> dict:
    """Write report.md with its pictures and scores.csv into ``folder`` and return the result of ``summarise``.

    Arguments
    ---------
    name
        Of the system in the title.
    teachers
        Name -> scores of each teacher under the same protocol, on the same utterances.
    runs
        Those whose ``histories`` are drawn.
    notes
        Paragraphs below the scores.
    """
    paths, teachers, known = ExperimentPaths(folder), teachers or {}, experiment.speakers_known
    label_order, title = experiment.label_order, f"{experiment.corpus}: {name}"
    summary, (curves, trust, _) = summarise(scores, label_order), histories(runs)
    classes = summary["class_table"]
    tables = {
        "scores": _scores_table(summary),
        "attributes": _attributes_table(summary, teachers),
        "folds": _folds_table(summary, known),
        "teachers": _teachers_table(scores, label_order, teachers),
        "classes": frame_table(classes.assign(recall=classes["recall"].map(percent))),
        "speakers": _speakers_table(summary),
    }
    pictures = [paths.folder / "confusion_matrix.png", paths.folder / "confusion_matrix.svg"]
    plots.plot_confusion(summary["confusion"], label_order, pictures, title)
    if curves is not None:
        plots.plot_training(curves, paths.folder / "training_curves.png", title)
    if trust is not None:
        plots.plot_trust(trust_at_the_end(trust), paths.folder / "teacher_weights.png", title)
    if several_epochs := trust is not None and trust["epoch"].nunique() > 1:
        plots.plot_trust_epochs(trust, paths.folder / "teacher_weights_epochs.png", title)
    page = render(
        "experiment.md.jinja",
        title=title,
        candidates=len(experiment.candidates),
        watermark="" if known else WATERMARK,
        generated=experiment.manifest.generated,
        seeds=", ".join(map(str, sorted(scores["seed"].unique()))),
        curves=curves is not None,
        trust=trust is not None,
        several_epochs=several_epochs,
        tables=tables,
        notes=notes,
        **{key: summary[key] for key in ("utterances", "speakers", "folds", "fold_table", "macro_f1", "ece")},
        num_seeds=summary["seeds"],
        seed_std=summary["ua_seed_std"],
    )
    write_text_aside(paths.report, page)
    write_scores(paths.scores, scores)
    logger.info(
        "%s: WA %.1f, UA %.1f pooled over %d utterances %s; see %s",
        *(name, 100 * summary["wa_pooled"], 100 * summary["ua_pooled"], summary["utterances"]),
        *(f"of {summary['speakers']} unseen speakers" if known else f"({MARK})", paths.report),
    )
    return summary


def report_student(protocol: NestedCrossValidation, scores: pd.DataFrame, title: str = "") -> dict:
    """Write the report of a trained student and its row of results, which is returned.

    ``title`` names a row of an ablation; other recipes are named by their system.
    """
    config, runs, experiment = protocol.config, protocol.outer_runs(), protocol.experiment
    teachers = protocol.teacher_scores() if config["teachers"] else {}
    for name, of_teacher in teachers.items():  # so that a report can be made again without teachers
        write_scores(experiment.paths.teacher_scores(name), of_teacher)
    drawn = [*runs, *chosen_inner_runs(experiment, protocol.inner_runs())]
    shown = {"teachers": teachers, "runs": drawn, "notes": text_notes(config, teachers)}
    return _append_row(
        protocol,
        write_report(experiment, protocol.folder, scores, title or experiment.recipe, **shown),
        recipe=ABLATION if title else experiment.recipe,
        system=title or experiment.system,
        student=config["student"]["name"],
        teachers=list(config["teachers"] or {}),
        params=runs[0].record.num_parameters,
        minutes=sum(run.record.seconds for run in runs) / 60,
    )


def report_teachers(protocol: NestedCrossValidation) -> None:
    """Write the report of each teacher alone under the same protocol, and its row of results."""
    for title, scores in protocol.teacher_scores().items():
        notes = text_notes(protocol.config, {title: scores})
        write_report(protocol.experiment, protocol.folder / title, scores, title, notes=notes)
        report_row_of_teacher(protocol, title, scores)


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


def _append_row(protocol: NestedCrossValidation, summary: dict, **names) -> dict:
    experiment = protocol.experiment
    row = results_row(summary, corpus=experiment.corpus, commit=experiment.environment["commit"], **names)
    if protocol.config["results_file"]:
        append_results(protocol.config["results_file"], row)
    return row


def text_notes(config: Config, teachers: Mapping[str, pd.DataFrame]) -> list[str]:
    """Of each teacher that reads transcripts, a sentence that says whether its UA is above chance, 1 / classes."""
    notes = []
    for title, scores in teachers.items():
        if TEACHERS.get(config["teachers"][title]["name"]).modality != "text":
            continue
        found, chance = summarise(scores, config["label_order"]), 1 / scores["truth"].nunique()
        verdict = "above chance: the words predict part of the emotion"
        if found["ua_low"] <= chance:
            verdict = "at chance: the words do not predict the emotion"
        elif found["ua_pooled"] < chance + NEAR_CHANCE:
            verdict = f"within {100 * NEAR_CHANCE:.0f} points of chance: the words predict next to nothing"
        score = f"UA {with_limits(found, 'ua_pooled', 'ua')}, chance {percent(chance)}"
        notes.append(f"Teacher {title} reads the transcripts alone. It is {verdict} ({score}).")
    return notes


def _scores_table(summary: dict) -> str:
    rows = []
    for score in ("wa", "ua"):
        value, limits = with_limits(summary, f"{score}_pooled", score).split(" ", 1)
        rows.append([score.upper(), over_folds(summary, score), value, limits])
    return markdown_table(["%", "folds: mean ± deviation", "pooled", "95 % over speakers"], rows)


def _attributes_table(summary: dict, teachers: Mapping[str, pd.DataFrame]) -> str:
    """Concordance of each dimensional label, of this system and pooled of each teacher; empty where there are none."""
    table = summary["attribute_table"]
    others = {name: concordances(of_teacher) for name, of_teacher in teachers.items() if attributes_in(of_teacher)}
    header = ["CCC", "utterances", "folds: mean ± deviation", "pooled", "95 % over speakers"]
    header += [f"teacher {name}, pooled" for name in others]
    rows = []
    for row in table.to_dict("records"):
        folds = "{ccc_mean:.3f} ± {ccc_std:.3f}".format(**row)
        pooled, limits = with_limits(row, "ccc_pooled", "ccc", scale=1).split(" ", 1)
        of_teachers = (f"{found[row['attribute']]:.3f}" for found in others.values())
        rows.append([row["attribute"], row["utterances"], folds, pooled, limits, *of_teachers])
    return markdown_table(header, rows) if rows else ""


def _folds_table(summary: dict, speakers_known: bool) -> str:
    folds = summary["fold_table"].rename(columns={"speakers": "test speakers", "wa": "WA", "ua": "UA"})
    folds[["WA", "UA"]] = folds[["WA", "UA"]].map(percent)
    return frame_table(folds if speakers_known else folds.assign(**{"test speakers": "not known"}), left=2)


def _teachers_table(scores: pd.DataFrame, label_order: Sequence[str], teachers: Mapping[str, pd.DataFrame]) -> str:
    rows = []
    for name, of_teacher in teachers.items():
        found = summarise(of_teacher, label_order)
        pooled = [percent(found["wa_pooled"]), with_limits(found, "ua_pooled", "ua")]
        both = scores[scores["ID"].isin(of_teacher["ID"])]
        agreement = percent(mean_agreement(both, of_teacher))
        if len(both) < len(scores):
            name = f"{name} ({of_teacher['ID'].nunique()} of {scores['ID'].nunique()} utterances)"
        rows.append([name, over_folds(found, "wa"), over_folds(found, "ua"), *pooled, agreement])
    header = ["teacher", "WA, folds", "UA, folds", "WA pooled", "UA pooled [95 %]", "agrees with this system"]
    return markdown_table(header, rows) if rows else ""


def _speakers_table(summary: dict) -> str:
    table = summary["speaker_table"].rename(columns={"wa": "WA", "ua": "UA"})
    shares = [name for name in table if name in ("WA", "UA") or name.startswith("recall ")]
    return frame_table(table.assign(**table[shares].map(percent)))


def histories(runs: Sequence[PlannedRun]) -> tuple[pd.DataFrame | None, pd.DataFrame | None, list[str]]:
    """Curves, trust in each teacher by class and epoch, and the names of runs whose history is missing.

    Of an inner run only the curves of its held-out speakers are taken: it shares seed and fold with the refit.

    Curves have the columns epoch, part, value, split, fold and seed; trust has epoch, weight, teacher, label, fold and
    seed, in the order of the labels. None where there is nothing to show, as with a single teacher.
    """
    curves, trust, missing = [], [], []
    for run in runs:
        try:
            wide = run.history()
        except FileNotFoundError:
            missing.append(run.name)
            continue
        if "epoch" not in wide.columns or wide.empty:
            raise ValueError(f"{run.paths.history} has no row of an epoch; run its training again.")
        long = wide.melt("epoch", var_name="part").dropna().assign(seed=run.seed)
        levels, valid = long["part"].str.count("/"), long["part"].str.startswith(VALID)
        if run.kind == "outer":
            curves.append(long[(levels < 2) & ~valid].assign(split="train", fold=run.fold))
            by_class = long[long["part"].str.startswith("trust/") & (levels == 2)].assign(fold=run.fold)
            by_class[["teacher", "label"]] = by_class["part"].str.split("/", expand=True).reindex(columns=[1, 2])
            trust.append(by_class.rename(columns={"value": "weight"}).drop(columns="part"))
        else:
            of_valid = long[(levels < 2) & valid].assign(split="valid", fold=f"{run.fold}, inner {run.split}")
            curves.append(of_valid.assign(part=of_valid["part"].str.removeprefix(VALID)))
    drawn, weights = (pd.concat(found, ignore_index=True) if found else pd.DataFrame() for found in (curves, trust))
    drawn = None if drawn.empty else drawn
    if weights.empty or weights["teacher"].nunique() < 2:
        return drawn, None, missing
    # Shares that were rounded while training sum to nearly 1.
    weights["weight"] /= weights.groupby(["fold", "seed", "epoch", "label"])["weight"].transform("sum")
    place = weights["label"].map(runs[0].label_order.index).sort_values(kind="stable").index
    return drawn, weights.loc[place].reset_index(drop=True), missing


def trust_at_the_end(trust: pd.DataFrame) -> pd.DataFrame:
    """Mean weight in the last epoch of each run: teachers x classes."""
    last = trust[trust["epoch"] == trust.groupby(["fold", "seed"])["epoch"].transform("max")]
    table = last.groupby(["teacher", "label"])["weight"].mean().unstack()
    return table.reindex(index=last["teacher"].unique(), columns=last["label"].unique())


def chosen_inner_runs(experiment: Experiment, inner: Sequence[PlannedRun]) -> list[PlannedRun]:
    """Those inner runs that are done and whose candidate was chosen."""
    choices = {of: experiment.choice(*of) or {} for of in {(run.seed, run.fold) for run in inner}}
    return [run for run in inner if run.done and choices[run.seed, run.fold].get("chosen") == run.candidate]
