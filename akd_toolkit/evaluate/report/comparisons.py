"""The tables of ``akd report``: folds, published numbers, paired tests, choices on inner folds."""

import re
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import pandas as pd

from akd_toolkit.data.files import write_text_aside
from akd_toolkit.evaluate.report.summary import compare
from akd_toolkit.evaluate.report.systems import System, comparable, grade, marks_of, own_answers
from akd_toolkit.evaluate.report.tables import count, frame_table, over_folds, p_value, percent, with_limits
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.metrics.significance import EXACT_SPEAKERS, holm
from akd_toolkit.progress import tqdm


class Parts:
    """The tables and figures of one report, as Markdown; figures are drawn at once, tables are filed at the end."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.tables: dict[str, pd.DataFrame] = {}
        self.num_figures = 0

    def table(self, name: str, caption: str, rows: pd.DataFrame, left: int = 1, filed: Sequence[str] = ()) -> str:
        """A captioned table, later ``tables/<name>.csv``; columns in ``filed`` are only in the file."""
        self.tables[name] = rows.map(lambda cell: str(cell).replace("**", ""))
        shown = frame_table(rows.drop(columns=list(filed)), left)
        return f"*{caption}*\n\n{shown}" if caption else shown

    def figure(self, name: str, caption: str, alt: str, draw: Callable, marks: Sequence[str] = ()) -> str:
        """A numbered figure; ``draw`` gets the two files to write."""
        self.num_figures += 1
        draw(paths=[self.folder / "figures" / f"{name}{suffix}" for suffix in (".png", ".svg")])
        return f"![{alt}](figures/{name}.png)\n\n*{marking(marks)}Figure {self.num_figures}. {caption}*"

    def write_tables(self) -> None:
        for name, rows in self.tables.items():
            path = self.folder / "tables" / f"{name}.csv"
            write_text_aside(path, rows.to_csv(index=False, lineterminator="\n"))


def marking(marks: Sequence[str]) -> str:
    """Watermarks as the beginning of a caption."""
    return "".join(f"**{mark}.** " for mark in marks)


def with_marks(caption: str, systems: Sequence[System]) -> str:
    """A caption after the watermarks of the systems below it, which are named where not all carry the mark."""
    parts = []
    for mark in dict.fromkeys(mark for system in systems for mark in system.marks):
        carrying = list(dict.fromkeys(system.name for system in systems if mark in system.marks))
        everyone = all(mark in system.marks for system in systems)
        parts.append(mark if everyone else f"{mark}: {', '.join(carrying)}")
    return marking(parts) + caption


def fold_tables(parts: Parts, corpus: str, systems: Sequence[System], name: str) -> list[str]:
    """Table 2: WA and UA of every outer fold, their mean and deviation, and all tests pooled with an interval.

    One table per layout of folds, since a fold of another layout has other speakers.
    """
    layouts: dict[tuple, list[System]] = {}
    for system in systems:
        folds = system.summary["fold_table"]
        layouts.setdefault(tuple(zip(folds["fold"], folds["speakers"])), []).append(system)
    tables = []
    for number, (folds, members) in enumerate(layouts.items(), start=1):
        rows = []
        for system in members:
            found = system.summary
            for score in ("wa", "ua"):
                row = {"system": system.name, "seeds": found["seeds"], "%": score.upper()}
                row |= {f"fold {fold.fold}": percent(getattr(fold, score)) for fold in found["fold_table"].itertuples()}
                row["mean ± deviation"] = over_folds(found, score)
                rows.append({**row, "pooled [95 %]": with_limits(found, f"{score}_pooled", score)})
        speakers = "; ".join(f"fold {fold}: {_few(names)}" for fold, names in folds)
        caption = with_marks(f"Table 2. Outer folds, {corpus}. Test speakers: {speakers}.", members)
        tables.append(parts.table(_numbered(name, number, layouts), caption, pd.DataFrame(rows)))
    return tables


def comparison_table(
    parts: Parts, corpus: str, systems: Sequence[System], cited: pd.DataFrame, name: str
) -> tuple[str, list[str]]:
    """Table 3: the systems of this report and published numbers of the corpus by grade, and the list of sources."""
    rows, notes = [], {}
    for system in systems:
        found, (independent, chosen, note) = system.summary, own_answers(system)
        answers = [grade(independent, chosen), independent, chosen]
        sizes = [len(system.experiment.label_order), count(system.params or 0)]
        pooled = [with_limits(found, f"{score}_pooled", score) for score in ("wa", "ua")]
        scores = [over_folds(found, "wa"), over_folds(found, "ua"), *pooled]
        rows.append([f"**{system.name}**", "this report", *answers, *sizes, *scores, note])
        notes.setdefault(note, []).append(system.name)
    published = cited[cited["corpus"].str.lower() == systems[0].corpus.lower()]
    sources: list[str] = []
    for row in published.sort_values("grade", kind="stable").to_dict("records"):
        source = f"{row['source']}: {row['note']}".removesuffix(": ")
        sources += [source] if source not in sources else []
        answers = [row[key] for key in ("grade", "speaker_independent", "chosen_on_test", "classes")]
        scores = [count(row["parameters"]), row["wa"] or "-", row["ua"] or "-", "-", "-"]
        rows.append([row["system"], f"[{sources.index(source) + 1}]", *answers, *scores, source])
    header = ["system", "source", "grade", "speaker-independent", "chosen on test", "classes", "parameters"]
    header += ["WA, folds", "UA, folds", "WA pooled [95 %]", "UA pooled [95 %]", "source and note"]
    caption = f"Table 3. Comparison, {corpus}. Published numbers stand as published, best grade first."
    rows = pd.DataFrame(rows, columns=header)
    table = parts.table(name, with_marks(caption, systems), rows, left=5, filed=["source and note"])
    about = [f"{', '.join(names)}: {note}." for note, names in notes.items()]
    linked = [re.sub(r"https?://\S*[^\s.,;:)]", r"<\g<0>>", source) for source in sources]
    return table, about + [f"[{place}] {source}." for place, source in enumerate(linked, start=1)]


def pair_tables(
    parts: Parts, corpus: str, systems: Sequence[System], name: str, baseline: str | None = None
) -> list[str]:
    """Paired tests of every two systems on the same utterances, or of all with ``baseline``, corrected by Holm."""
    tables = []
    groups = [group for group in comparable(systems) if len(group) > 1]
    for number, group in enumerate(groups, start=1):
        pairs = [(b, a) for a, b in combinations(group, 2)]
        if baseline is not None:
            pairs = [(one, other) for other in group if other.name == baseline for one in group if one is not other]
        found = [compare(a.scores, b.scores) for a, b in tqdm(pairs, desc=f"{corpus}: paired tests", unit="pair")]
        if not found:
            continue
        speakers, utterances = found[0]["speakers"], found[0]["utterances"]
        times = "one pair" if len(pairs) == 1 else f"{len(pairs)} pairs, p corrected for their number by Holm"
        caption = (
            f"Paired tests, {corpus}: the first system minus the second on the same {utterances} utterances of "
            f"{speakers} speakers; {times}."
        )
        if speakers <= EXACT_SPEAKERS:
            caption += f" With {speakers} speakers no p by speaker can be below {min(1.0, 2 / 2**speakers):.3f}."
        rows = _pair_rows(pairs, found)
        tables.append(parts.table(_numbered(name, number, groups), with_marks(caption, group), rows, left=2))
    return tables


def choice_table(parts: Parts, experiment: Experiment, name: str) -> str:
    """The choice of the inner folds of every seed and outer fold, and its inner UA; empty where there is none yet."""
    rows = []
    for run in experiment.outer_runs() if len(experiment.candidates) > 1 else []:
        choice = experiment.choice(run.seed, run.fold)
        if choice is not None:
            row = {"seed": run.seed, "fold": run.fold, "test speakers": ", ".join(run.test_speakers)}
            for place, share in enumerate(choice["inner_ua"], start=1):
                row[f"candidate {place}"] = f"{percent(share)}{' *' * (place == choice['chosen'])}"
            rows.append({**row, "chosen": f"candidate {choice['chosen']}"})
    caption = (
        f"{marking(marks_of(experiment))}Nested choice, {experiment.title}: pooled UA of every candidate on inner "
        "folds of the training speakers; the starred one was trained again and scored once."
    )
    return parts.table(name, caption, pd.DataFrame(rows), left=3) if rows else ""


def _pair_rows(pairs: Sequence[tuple[System, System]], found: Sequence[dict]) -> pd.DataFrame:
    def tests(name: str) -> list[tuple[str, str]]:
        """p of each pair, and corrected."""
        values = [one[name] for one in found]
        return [(p_value(p), p_value(corrected)) for p, corrected in zip(values, holm(values))]

    rows = []
    for (a, b), one, ua, wa, mcnemar in zip(pairs, found, *map(tests, ("ua_p", "wa_p", "mcnemar_p"))):
        by_seed = ", ".join(f"{100 * points:+.1f}" for points in one["ua_by_seed"].values()) or "-"
        points = {score: with_limits(one, f"{score}_difference", score, sign="+") for score in ("ua", "wa")}
        rows.append([a.name, b.name, points["ua"], *ua, by_seed, points["wa"], *wa, *mcnemar])
    header = ["system", "against", "UA points [95 %]", "p by speaker", "Holm", "UA points, each seed"]
    header += ["WA points [95 %]", "p by speaker", "Holm", "McNemar", "Holm"]
    return pd.DataFrame(rows, columns=header)


def _numbered(name: str, number: int, of: Sequence) -> str:
    return name if len(of) == 1 else f"{name}-{number}"


def _few(names: str) -> str:
    """The speakers of a fold; of many only the first, the last and the number."""
    listed = names.split(", ")
    return names if len(listed) <= 6 else f"{listed[0]} to {listed[-1]} ({len(listed)} speakers)"
