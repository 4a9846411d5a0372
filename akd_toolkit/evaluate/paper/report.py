"""Tables and figures of a paper, made from finished experiments and from nothing but their stored scores."""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from akd_toolkit.audit.experiment import audit_experiment
from akd_toolkit.data.files import write_text_aside
from akd_toolkit.data.watermark import MARK
from akd_toolkit.evaluate.paper.ablation import ablation_blocks, is_ablation
from akd_toolkit.evaluate.paper.cited import COMMITTED, GRADES, read_cited
from akd_toolkit.evaluate.paper.document import Document, Heading, Items, Text, table
from akd_toolkit.evaluate.paper.figures import plot_forest, seed_scores
from akd_toolkit.evaluate.paper.markdown import markdown
from akd_toolkit.evaluate.paper.studies import audit_blocks, calibration_bins, progress_of, study_blocks
from akd_toolkit.evaluate.paper.system_figures import Drawing, confusion_figure, histories, system_blocks
from akd_toolkit.evaluate.paper.systems import (
    MADE_UP,
    System,
    by_corpus,
    comparable,
    left_out_seeds,
    marks_of,
    read_experiments,
    systems_of,
)
from akd_toolkit.evaluate.paper.tables import choice_table, comparison_table, fold_tables, pair_tables, with_marks
from akd_toolkit.evaluate.paper.web import web_page
from akd_toolkit.evaluate.report.page import DEFINITIONS, FEW_SPEAKERS
from akd_toolkit.experiment.stored import Experiment

MAX_NAMED = 12  # missing trainings that one sentence lists
ABOUT_AUDIT = "What the folders prove of their own splits; `akd audit FOLDER` compares the sound of the recordings too."
ABOUT_PAIRS = (
    "Interval: paired t interval over speakers. p by speaker: the two systems swapped speaker by speaker. McNemar: by "
    "utterance, exact (the sign test where there are several seeds), which takes the utterances of one speaker as "
    "independent. Each test is corrected for itself over all pairs of the table."
)


def write_paper(
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

    Raises
    ------
    FileNotFoundError, ValueError
        If a folder is no experiment, scores are damaged (the sentence names the file), nothing is finished, or there is
        no system ``baseline``.
    """
    folders, to = [Path(folder) for folder in folders], Path(to)
    if to.exists() and not to.is_dir():
        raise NotADirectoryError(f"{to}, where the report should go, is a file; give a folder with --to.")
    ablations = [folder for folder in folders if is_ablation(folder)]
    experiments = read_experiments([folder for folder in folders if folder not in ablations])
    published = read_cited(cited)
    told = tqdm(experiments, desc="audit", unit="experiment")
    audits = [audit_experiment(experiment, sound=False, progress=False) for experiment in told]
    systems = systems_of(experiments, audits)
    if experiments and not systems:
        raise ValueError(f"no outer run of {experiments[0].folder} is done yet; finish its recipe first.")
    _check_baseline(baseline, systems)
    studies = [study_blocks(experiment, to, key) for experiment, key in zip(experiments, _keys(experiments))]
    for experiment in experiments:  # damage is found before anything is drawn
        histories(experiment.outer_runs(done=True)), calibration_bins(experiment)
    corpora = by_corpus(systems)
    document = Document(title or f"{', '.join(corpora) or 'Ablation'}: report")
    _front(document, experiments, systems)
    draw = Drawing(to)
    for corpus, members in corpora.items():
        _corpus(document, corpus, members, published, baseline, draw)
    for folder in ablations:
        document.add(*ablation_blocks(folder, to))
    _choices(document, experiments)
    _figures(document, systems, draw)
    if any(studies):
        document.add(Heading("Studies"), *(block for blocks in studies for block in blocks))
    if experiments:
        document.add(Heading("Audit"), Text(ABOUT_AUDIT))
        for experiment, findings in zip(experiments, audits):
            document.add(*audit_blocks(experiment, findings))
    _reading(document, systems)
    _write(document, to)
    return to / "report.html"


def _front(document: Document, experiments: Sequence[Experiment], systems: Sequence[System]) -> None:
    """What went in, and what a reader must know before any number."""
    marks = {mark: [one.title for one in experiments if mark in marks_of(one)] for mark in (MARK, MADE_UP)}
    meaning = {
        MARK: "the same voice may be in training and in test, which alone raises scores, often by several points",
        MADE_UP: "the figures show that the whole path works and say nothing about real speech",
    }
    for mark, titles in marks.items():
        if titles:
            document.add(Text(f"{mark}: {', '.join(titles)}; {meaning[mark]}.", warning=True))
    for experiment in experiments:
        told, missing = progress_of(experiment)
        name = f"{experiment.title} ({experiment.folder.name})"
        if missing:
            more = f" and {len(missing) - MAX_NAMED} more" if len(missing) > MAX_NAMED else ""
            lacking = f"{', '.join(missing[:MAX_NAMED])}{more}"
            document.add(Text(f"Incomplete: {name}: {told} are done; missing {lacking}.", warning=True))
        elif not any(system.experiment is experiment for system in systems):
            document.add(Text(f"{name} holds no scores of its own, so it stands in no table.", warning=True))
    leaking = dict.fromkeys(f"{one.experiment.title} ({one.experiment.folder.name})" for one in systems if one.leaks)
    if leaking:
        document.add(Text(f"The audit found leaks in {', '.join(leaking)}; see Audit.", warning=True))
    for system in systems:
        lost = left_out_seeds(system.experiment, system.scores) if not system.teacher else []
        if lost:
            seeds = ", ".join(map(str, lost))
            told = f"{system.name}: seeds {seeds} are on fewer folds than others and stand in no table."
            document.add(Text(told, warning=True))
    if not experiments:
        return
    rows = [
        [
            one.title,
            one.folder.name,
            progress_of(one)[0],
            ", ".join(map(str, one.seeds)),
            len(one.folds),
            len(one.manifest.speakers),
            len(one.manifest),
            one.environment.get("commit", "-"),
        ]
        for one in experiments
    ]
    header = ["experiment", "folder", "state", "seeds", "outer folds", "speakers", "utterances", "commit"]
    caption = with_marks("Table 1. The experiments of this report.", systems)
    document.add(Heading("Experiments"), table("table1-experiments", caption, header, rows, left=4))


def _corpus(
    document: Document,
    corpus: str,
    systems: Sequence[System],
    published: pd.DataFrame,
    baseline: str | None,
    draw: Drawing,
) -> None:
    key = slug(corpus)
    document.add(Heading(corpus))
    rows = [
        {
            **{"name": system.name, "teacher": system.teacher, "ua": system.summary["ua_pooled"]},
            **{"low": system.summary["ua_low"], "high": system.summary["ua_high"]},
            "seeds": [one["ua"] for one in seed_scores(system.scores).values()],
        }
        for system in tqdm(systems, desc=f"{corpus}: scores", unit="system")
    ]
    marks = tuple(dict.fromkeys(mark for system in systems for mark in system.marks))
    heading = " - ".join([*marks, corpus, "UA of every system"])
    caption = (
        f"Pooled UA of every system, {corpus}, with 95 % over speakers; ticks are single seeds, hollow dots teachers."
    )
    alt = "; ".join(f"{row['name']} {100 * row['ua']:.1f}" for row in rows)
    document.add(draw(f"forest-{key}", caption, alt, partial(plot_forest, rows, title=heading), marks))
    document.add(Heading("Table 2. Folds", 3), *fold_tables(corpus, systems, f"table2-folds-{key}"))
    comparison = comparison_table(corpus, systems, published, f"table3-comparison-{key}")
    document.add(Heading("Table 3. Comparison with published numbers", 3), *comparison, Heading("Grades", 4))
    document.add(Items(tuple(f"**{grade}**: {meaning}." for grade, meaning in GRADES.items())))
    pairs = pair_tables(corpus, systems, f"pairs-{key}", baseline)
    if pairs:
        document.add(Heading("Paired tests", 3), *pairs, Text(ABOUT_PAIRS))
    lonely = [group[0].name for group in comparable(systems) if len(group) == 1]
    if len(systems) > 1 and lonely:
        document.add(Text(f"Scored on other utterances than the rest, so paired with none: {', '.join(lonely)}."))


def _choices(document: Document, experiments: Sequence[Experiment]) -> None:
    tables = [choice_table(one, f"choice-{key}") for one, key in zip(experiments, _keys(experiments))]
    if any(tables):
        document.add(Heading("Choices on inner folds"), *filter(None, tables))


def _figures(document: Document, systems: Sequence[System], draw: Drawing) -> None:
    if not systems:
        return
    keyed = list(zip(systems, _unique([slug(f"{system.corpus} {system.name}") for system in systems])))
    document.add(Heading("Confusion"))
    for system, key in tqdm(keyed, desc="confusion", unit="system"):
        document.add(confusion_figure(system, draw, key))
    document.add(Heading("Every system"))
    for system, key in tqdm(keyed, desc="figures", unit="system"):
        document.add(Heading(f"{system.corpus}: {system.name}", 3), *system_blocks(system, draw, key))


def _reading(document: Document, systems: Sequence[System]) -> None:
    few = sorted({system.corpus for system in systems if system.summary["speakers"] < FEW_SPEAKERS})
    sentences = [
        DEFINITIONS,
        "Every number is computed from per-utterance scores when the report is made. With several seeds a score is the "
        "mean over seeds; deviations are over outer folds, of the seed means.",
        "Intervals of pooled scores are jackknife t intervals over speakers: they describe new speakers, not new "
        "seeds.",
        "ECE is the expected calibration error in 15 bins of confidence.",
    ]
    sentences += [
        f"{corpus}: fewer than {FEW_SPEAKERS} speakers, so an interval is a hint and no more." for corpus in few
    ]
    document.add(Heading("How to read it"), Items(tuple(sentences)))


def _check_baseline(baseline: str | None, systems: Sequence[System]) -> None:
    names = [system.name for system in systems]
    if baseline is not None and baseline not in names:
        raise ValueError(f"there is no system '{baseline}'; give one of {', '.join(names) or 'none'}.")


def _write(document: Document, to: Path) -> None:
    """Tables first, the pages last: a folder with a page is complete."""
    for one in document.tables():
        header, *cells = one.filed or (one.header, *one.rows)
        rows = pd.DataFrame([[cell.replace("**", "") for cell in row] for row in cells], columns=list(header))
        write_text_aside(to / "tables" / f"{one.name}.csv", rows.to_csv(index=False, lineterminator="\n"))
    write_text_aside(to / "report.md", markdown(document))
    write_text_aside(to / "report.html", web_page(document, to))


def slug(text: str) -> str:
    """A name of a file.

    Example
    -------
    >>> slug("EmoDB akd+RAVDESS (micro_cnn)")
    'emodb-akd-ravdess-micro-cnn'
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x"


def _keys(experiments: Sequence[Experiment]) -> list[str]:
    return _unique([slug(f"{one.manifest.corpus} {one.folder.resolve().name}") for one in experiments])


def _unique(names: list[str]) -> list[str]:
    """The same names, a number added to those that come again."""
    return [
        name if names[:at].count(name) == 0 else f"{name}-{names[:at].count(name) + 1}" for at, name in enumerate(names)
    ]
