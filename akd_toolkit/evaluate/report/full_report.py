"""``akd report``: tables and figures from nothing but the stored scores of finished experiments."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from akd_toolkit.audit.experiment import audit_experiment
from akd_toolkit.data.files import write_text_aside
from akd_toolkit.data.manifest import MARK
from akd_toolkit.data.names import counted, some
from akd_toolkit.data.verdicts import Finding, by_verdict
from akd_toolkit.evaluate.report import comparisons, plots
from akd_toolkit.evaluate.report.comparisons import Parts, with_marks
from akd_toolkit.evaluate.report.experiment_report import chosen_inner_runs, histories, trust_at_the_end
from akd_toolkit.evaluate.report.extras import ablation_part, calibration_bins, study_parts
from akd_toolkit.evaluate.report.summary import speaker_scores
from akd_toolkit.evaluate.report.systems import (
    COMMITTED,
    GRADES,
    MADE_UP,
    System,
    by_corpus,
    comparable,
    marks_of,
    read_cited,
    read_experiments,
    systems_of,
)
from akd_toolkit.evaluate.report.tables import FEW_SPEAKERS, percent, render, slug, slugs, web_page, with_limits
from akd_toolkit.evaluate.studies.calibration import reliability
from akd_toolkit.experiment.paths import ExperimentPaths
from akd_toolkit.experiment.plan import PlannedRun
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.progress import tqdm

MAX_NAMED = 12  # missing trainings that one sentence lists
MEANING = {
    MARK: "the same voice may be in training and in test, which alone raises scores, often by several points",
    MADE_UP: "the scores show that the whole pipeline works and say nothing about real speech",
}
FIGURES = {  # of a system: plot, caption and description
    "reliability": (
        plots.plot_reliability,
        "Reliability, {}: accuracy against confidence in 15 bins. ECE: expected calibration error, %.",
        "accuracy against confidence, and the number of utterances at each confidence",
    ),
    "speakers": (
        plots.plot_speakers,
        "Every test speaker, {}: WA and UA with 95 % over the speaker's own utterances, taken as independent.",
        "dots and intervals: WA and UA of every speaker",
    ),
    "training": (
        plots.plot_training,
        "Training, {}: every fold and seed, and their mean.",
        "training curves, one panel for each part of the objective",
    ),
    "trust": (
        plots.plot_trust,
        "Trust in each teacher by class at the end of training, {}, mean over runs.",
        "bars: mean weight of each teacher for each class",
    ),
    "trust-epochs": (
        plots.plot_trust_epochs,
        "Trust in each teacher by class and epoch, {}; a band goes from the lowest run to the highest.",
        "lines: mean weight of each teacher over the epochs, one panel per class",
    ),
}
VERDICTS = {"leak": "Leaks", "warning": "Warnings", "not_proved": "Could not be proved", "proved": "Proved"}


def report_experiments(
    folders: Sequence[str | Path],
    to: str | Path,
    title: str = "",
    baseline: str | None = None,
    cited: str | Path = COMMITTED,
) -> Path:
    """Write report.md, report.html, tables/*.csv and figures/*.png and *.svg into ``to``; return report.html's path.

    Arguments
    ---------
    folders
        Output folders of recipes, and of ablations; only read.
    baseline
        Name of the system that all others are tested against; every two are if None.
    cited
        Table of published numbers, see ``read_cited``.
    """
    folders, to = [Path(folder) for folder in folders], Path(to)
    if to.exists() and not to.is_dir():
        raise NotADirectoryError(f"{to}, where the report should go, is a file; give a folder with --to.")
    ablations = [folder for folder in folders if ExperimentPaths(folder).ablation_table.is_file()]
    experiments = read_experiments([folder for folder in folders if folder not in ablations])
    published = read_cited(cited)
    shown = tqdm(experiments, desc="audit", unit="experiment")
    audits = [audit_experiment(experiment, sound=False, progress=False) for experiment in shown]
    systems = systems_of(experiments, audits)
    if experiments and not systems:
        raise ValueError(f"no outer run of {experiments[0].folder} is done yet; finish its recipe first.")
    names = [system.name for system in systems]
    if baseline is not None and baseline not in names:
        raise ValueError(f"there is no system '{baseline}'; give one of {', '.join(names) or 'none'}.")
    parts = Parts(to)
    keys = slugs([f"{one.manifest.corpus} {one.folder.resolve().name}" for one in experiments])
    studies = [part for experiment, key in zip(experiments, keys) for part in study_parts(parts, experiment, key)]
    for folder in ablations:
        first = Experiment.read(ExperimentPaths(folder).rows()[0])
        studies += study_parts(parts, first, slug(f"{first.manifest.corpus} {folder.resolve().name}"), folder)
    for experiment in experiments:  # damage is found before anything is drawn
        histories(experiment.outer_runs(done=True)), calibration_bins(experiment)
    corpora = by_corpus(systems)
    titles = [f"{system.corpus} {system.name}" for system in systems]
    keyed = list(zip(systems, slugs(titles)))
    page = render(
        "report.md.jinja",
        title=title or f"{', '.join(corpora) or 'Ablation'}: report",
        warnings=_warnings(experiments, systems),
        experiments=_experiments_table(parts, experiments, systems),
        corpora=[_corpus(parts, corpus, members, published, baseline) for corpus, members in corpora.items()],
        ablations=[ablation_part(parts, folder) for folder in ablations],
        choices=[comparisons.choice_table(parts, one, f"choice-{key}") for one, key in zip(experiments, keys)],
        confusions=[_confusion(parts, system, key) for system, key in keyed],
        systems=[
            (f"{system.corpus}: {system.name}", _figures(parts, system, key))
            for system, key in tqdm(keyed, desc="figures", unit="system")
        ],
        studies=studies,
        audits=[_audit(experiment, findings) for experiment, findings in zip(experiments, audits)],
        grades=GRADES,
        few=sorted({system.corpus for system in systems if system.summary["speakers"] < FEW_SPEAKERS}),
    )
    parts.write_tables()  # the pages last: a folder with a page is complete
    write_text_aside(to / "report.md", page)
    write_text_aside(to / "report.html", web_page(page, to))
    return to / "report.html"


def _warnings(experiments: Sequence[Experiment], systems: Sequence[System]) -> list[str]:
    """What a reader must know before any number."""
    warnings = []
    for mark, meaning in MEANING.items():
        titles = dict.fromkeys(one.title for one in experiments if mark in marks_of(one))
        warnings += [f"{mark}: {', '.join(titles)}; {meaning}."] if titles else []
    for experiment in experiments:
        state, missing = _progress(experiment)
        name = f"{experiment.title} ({experiment.folder.name})"
        if missing:
            warnings.append(f"Incomplete: {name}: {state} are done; missing {some(missing, MAX_NAMED)}.")
        elif not any(system.experiment is experiment for system in systems):
            warnings.append(f"{name} holds no scores of its own, so it is in no table.")
    leaking = dict.fromkeys(f"{one.experiment.title} ({one.experiment.folder.name})" for one in systems if one.leaks)
    if leaking:
        warnings.append(f"The audit found leaks in {', '.join(leaking)}; see Audit.")
    for system in systems:
        begun = set() if system.teacher else {run.seed for run in system.experiment.outer_runs(done=True)}
        lost = ", ".join(map(str, sorted(begun - set(system.scores["seed"]))))
        if lost:
            warnings.append(f"{system.name}: seeds {lost} are on fewer folds than others and are in no table.")
    return warnings


def _progress(experiment: Experiment) -> tuple[str, list[str]]:
    """How much of the plan is done, and the outer trainings that are missing."""
    runs = experiment.outer_runs()
    missing = [run.name.removesuffix("/outer") for run in runs if not run.done]
    return f"{len(runs) - len(missing)} of {len(runs)} outer trainings" if runs else "teachers alone", missing


def _experiments_table(parts: Parts, experiments: Sequence[Experiment], systems: Sequence[System]) -> str:
    header = ["experiment", "folder", "state", "seeds", "outer folds", "speakers", "utterances", "commit"]
    rows = []
    for one in experiments:
        sizes = len(one.folds), len(one.manifest.speakers), len(one.manifest), one.environment.get("commit", "-")
        rows.append([one.title, one.folder.name, _progress(one)[0], ", ".join(map(str, one.seeds)), *sizes])
    caption = with_marks("Table 1. The experiments of this report.", systems)
    return parts.table("table1-experiments", caption, pd.DataFrame(rows, columns=header), left=4) if rows else ""


def _corpus(parts: Parts, corpus: str, systems: Sequence[System], published: pd.DataFrame, baseline=None) -> dict:
    key, rows = slug(corpus), []
    for system in systems:
        found = system.summary
        row = {"value": found["ua_pooled"], "low": found["ua_low"], "high": found["ua_high"]}
        row |= {"text": f"{system.name}   {with_limits(found, 'ua_pooled', 'ua')}", "seeds": found["ua_of_seeds"]}
        colour = plots.MUTED if system.teacher else plots.COLOURS[0]
        rows.append({**row, "colour": colour, "hollow": system.teacher})
    marks = list(dict.fromkeys(mark for system in systems for mark in system.marks))
    what = "with 95 % over speakers; ticks are single seeds, hollow dots teachers"
    caption = f"Pooled UA of every system, {corpus}, {what}."
    alt = "; ".join(f"{system.name} {percent(system.summary['ua_pooled'])}" for system in systems)
    heading = " - ".join([*marks, corpus, "UA of every system"])
    draw = partial(plots.plot_forest, rows, label="pooled UA, % [95 % over speakers]", title=heading)
    forest = parts.figure(f"forest-{key}", caption, alt, draw, marks)
    comparison, sources = comparisons.comparison_table(parts, corpus, systems, published, f"table3-comparison-{key}")
    return {
        "name": corpus,
        "forest": forest,
        "folds": comparisons.fold_tables(parts, corpus, systems, f"table2-folds-{key}"),
        "comparison": comparison,
        "sources": sources,
        "pairs": comparisons.pair_tables(parts, corpus, systems, f"pairs-{key}", baseline),
        "unpaired": [group[0].name for group in comparable(systems) if len(group) == 1] if len(systems) > 1 else [],
    }


def _figure(parts: Parts, system: System, key: str, kind: str, data, plot, caption: str, alt: str) -> str:
    """A figure of one system, headed by its watermarks."""
    what = "trust in its teachers" if kind.startswith("trust") else kind
    title = " - ".join([*system.marks, f"{system.corpus}: {system.name}", what])
    labels = [system.experiment.label_order] if kind == "confusion" else []
    draw = partial(plot, data, *labels, title=title)
    return parts.figure(f"{kind}-{key}", caption.format(f"{system.corpus}, {system.name}"), alt, draw, system.marks)


def _confusion(parts: Parts, system: System, key: str) -> str:
    found = system.summary
    seeds = ", mean counts over seeds" if found["seeds"] > 1 else ""
    caption = f"Confusion, {{}}: all outer tests together, percent of the true class{seeds}."
    recalls = ", ".join(f"{row.label} {percent(row.recall)}" for row in found["class_table"].itertuples())
    alt = f"confusion matrix of {system.name} on {system.corpus}: recalls {recalls}"
    return _figure(parts, system, key, "confusion", found["confusion"], plots.plot_confusion, caption, alt)


def _figures(parts: Parts, system: System, key: str) -> list[str]:
    """Reliability, speakers and, for a student, training curves and trust in its teachers."""
    experiment, missing = system.experiment, []
    conditions = {f"as scored: ECE {percent(system.summary['ece'])}": reliability(system.scores)}
    data = {"reliability": conditions, "speakers": speaker_scores(system.scores)}
    if not system.teacher:
        conditions |= calibration_bins(experiment)
        inner = chosen_inner_runs(experiment, experiment.inner_runs())
        data["training"], trust, missing = histories([*experiment.outer_runs(done=True), *inner])
        data["trust"] = None if trust is None else trust_at_the_end(trust)
        data["trust-epochs"] = None if trust is None or trust["epoch"].nunique() < 2 else trust
    figures = [_figure(parts, system, key, kind, data[kind], *FIGURES[kind]) for kind in data if data[kind] is not None]
    return figures + ([f"> **No metrics.csv, so no curves, for {', '.join(missing)}.**"] if missing else [])


def _audit(experiment: Experiment, findings: Sequence[Finding]) -> dict:
    """What the audit proved of an experiment, and how many trainings stored an audit of their own."""
    counts = Counter(finding.verdict for finding in findings)
    done = [run for run in experiment.runs() if run.done]
    lacking = [run.name for run in done if not _has_audit(run)]
    return {
        "title": experiment.title,
        "leaks": counts["leak"],
        "verdict": f"Verdict: {counted(counts['leak'], 'leak') if counts['leak'] else 'no leak'} found; "
        f"{counts['proved']} proved, {counted(counts['warning'], 'warning')}, {counts['not_proved']} not provable.",
        "stored": f"{len(done) - len(lacking)} of {len(done)} finished trainings stored an audit of their own split"
        + (f"; none, or a damaged one: {some(lacking)}." if lacking else "."),
        "findings": {
            VERDICTS[verdict]: [f"{one.check}: {one.sentence}" for one in found]
            for verdict, found in by_verdict(findings).items()
        },
    }


def _has_audit(run: PlannedRun) -> bool:
    try:
        return bool(run.record.proved or run.record.not_proved)
    except (OSError, ValueError):
        return False
