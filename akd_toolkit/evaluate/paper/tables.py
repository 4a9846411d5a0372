"""The tables of a paper: folds (Table 2), comparison with published numbers (Table 3), paired tests, choices."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import pandas as pd
from tqdm import tqdm

from akd_toolkit.data.watermark import MARK
from akd_toolkit.evaluate.paper.cited import grade
from akd_toolkit.evaluate.paper.document import Block, Items, Table, table
from akd_toolkit.evaluate.paper.systems import System, comparable, marking, marks_of
from akd_toolkit.evaluate.report.comparison import compare
from akd_toolkit.evaluate.report.page import percent
from akd_toolkit.evaluate.report.tables import count
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.metrics.significance import EXACT_SPEAKERS, holm

SCORES = ("wa", "ua")


def with_marks(caption: str, systems: Sequence[System]) -> str:
    """A caption that begins with the watermarks of the systems below it, and names them where not all carry it.

    Example
    -------
    >>> with_marks("Table 2. Folds.", [])
    'Table 2. Folds.'
    """
    marks = list(dict.fromkeys(mark for system in systems for mark in system.marks))
    parts = []
    for mark in marks:
        carrying = [system.name for system in systems if mark in system.marks]
        named = "" if len(carrying) == len(systems) else f": {', '.join(carrying)}"
        parts.append(f"**{mark}{named}.** ")
    return "".join(parts) + caption


def fold_tables(corpus: str, systems: Sequence[System], name: str) -> list[Table]:
    """Table 2: WA and UA of every outer fold, their mean and deviation, and all tests pooled with an interval.

    One table for each layout of folds, since a fold of another layout has other speakers.
    """
    layouts: dict[tuple, list[System]] = {}
    for system in systems:
        folds = system.summary["fold_table"]
        layouts.setdefault(tuple(zip(folds["fold"], folds["speakers"])), []).append(system)
    tables = []
    for number, (folds, members) in enumerate(layouts.items(), start=1):
        header = ["system", "seeds", "%", *(f"fold {fold}" for fold, _ in folds), "mean ± deviation", "pooled [95 %]"]
        rows = []
        for system in members:
            found = system.summary
            for score in SCORES:
                folded = map(percent, found["fold_table"][score])
                mean = f"{percent(found[f'{score}_mean'])} ± {percent(found[f'{score}_std'])}"
                rows.append([system.name, found["seeds"], score.upper(), *folded, mean, _pooled(found, score)])
        speakers = "; ".join(f"fold {fold}: {_few(names)}" for fold, names in folds)
        caption = f"Table 2. Outer folds, {corpus}. Test speakers: {speakers}."
        suffix = "" if len(layouts) == 1 else f"-{number}"
        tables.append(table(f"{name}{suffix}", with_marks(caption, members), header, rows, left=1))
    return tables


def comparison_table(corpus: str, systems: Sequence[System], cited: pd.DataFrame, name: str) -> list[Block]:
    """Table 3: the systems of this report and published numbers of the corpus by grade, and where those come from."""
    ours = [_our_row(system) for system in systems]
    published = cited[cited["corpus"].str.lower() == systems[0].corpus.lower()]
    theirs = published.sort_values("grade", kind="stable").to_dict("records")
    told = [f"{row['source']}: {row['note']}".removesuffix(": ") for row in theirs]
    sources = list(dict.fromkeys(told))
    header = ["system", "source", "grade", "speaker-independent", "chosen on test", "classes", "parameters"]
    header += ["WA, folds", "UA, folds", "WA pooled [95 %]", "UA pooled [95 %]"]
    rows = [[*row[:1], "this report", *row[1:-1]] for row in ours]
    for row, source in zip(theirs, told):
        answers = [row[key] for key in ("grade", "speaker_independent", "chosen_on_test", "classes")]
        scores = [count(row["parameters"]), row["wa"] or "-", row["ua"] or "-", "-", "-"]
        rows.append([row["system"], f"[{sources.index(source) + 1}]", *answers, *scores])
    notes = [row[-1] for row in ours] + told
    filed = [[*header, "source and note"], *([*row, note] for row, note in zip(rows, notes))]
    bold = [[f"**{row[0]}**", *row[1:]] if place < len(ours) else row for place, row in enumerate(rows)]
    caption = f"Table 3. Comparison, {corpus}. Published numbers stand as they were published, the most honest first."
    made = table(name, with_marks(caption, systems), header, bold, left=5)
    made = replace(made, filed=tuple(tuple(str(cell).replace("**", "") for cell in row) for row in filed))
    about = list(dict.fromkeys(f"{row[0]}: {row[-1]}." for row in ours))
    listed = [f"[{place}] {source}." for place, source in enumerate(sources, start=1)]
    return [made, Items(tuple(about + listed))]


def _our_row(system: System) -> list[str]:
    found, (independent, chosen, note) = system.summary, honesty(system)
    folds = [f"{percent(found[f'{score}_mean'])} ± {percent(found[f'{score}_std'])}" for score in SCORES]
    pooled = [_pooled(found, score) for score in SCORES]
    known = [len(system.label_order), count(system.params or 0), *folds, *pooled]
    return [system.name, grade(independent, chosen), independent, chosen, *known, note]


def honesty(system: System) -> tuple[str, str, str]:
    """The two answers that a grade is made of, for a system of ours, and a note."""
    experiment = system.experiment
    if MARK in system.marks:
        return "no", "unknown", "the corpus does not say who speaks, so that speakers may be on both sides"
    if system.leaks:
        first = system.leaks[0]
        note = f"the audit found {len(system.leaks)}, first ({first.check}): {first.sentence.rstrip('.')}"
        on_test = any(leak.check in ("choice", "epochs") for leak in system.leaks)
        return "unknown", "yes" if on_test else "unknown", note
    if system.teacher or len(experiment.candidates) < 2:
        return "yes", "unknown", "one setting, fixed before the run; how it was found is not stored"
    choices = [experiment.choice(run.seed, run.fold) for run in experiment.outer_runs(done=True)]
    if not all(choices):
        return "yes", "unknown", "a choice.json is missing, so what was chosen on what is not stored"
    return "yes", "no", f"best of {len(experiment.candidates)} candidates on inner folds, then scored once"


def pair_tables(corpus: str, systems: Sequence[System], name: str, baseline: str | None = None) -> list[Table]:
    """Paired tests of every two systems that were scored on the same utterances, corrected for their number.

    Arguments
    ---------
    baseline
        Name of a system: then only pairs with it are tested.
    """
    tables = []
    groups = [group for group in comparable(systems) if len(group) > 1]
    for number, group in enumerate(groups, start=1):
        pairs = list(combinations(group, 2))
        if baseline is not None:
            against = [system for system in group if system.name == baseline]
            pairs = [(system, against[0]) for system in group if against and system is not against[0]]
        found = [compare(a.scores, b.scores) for a, b in tqdm(pairs, desc=f"{corpus}: paired tests", unit="pair")]
        if not found:
            continue
        caption = (
            f"Paired tests, {corpus}: the first system less the second on the same {found[0]['utterances']} utterances "
            f"of {found[0]['speakers']} speakers; {_pairs_in_words(len(found))}.{_least_p(found[0]['speakers'])}"
        )
        suffix = "" if len(groups) == 1 else f"-{number}"
        tables.append(
            table(f"{name}{suffix}", with_marks(caption, group), PAIR_HEADER, _pair_rows(pairs, found), left=2)
        )
    return tables


PAIR_HEADER = (
    *("system", "against", "UA points [95 %]", "p by speaker", "Holm", "UA points, each seed"),
    *("WA points [95 %]", "p by speaker", "Holm", "McNemar", "Holm"),
)


def _pair_rows(pairs: Sequence[tuple[System, System]], found: Sequence[dict]) -> list[list[str]]:
    corrected = {test: holm([one[test] for one in found]) for test in ("ua_p", "wa_p", "mcnemar_p")}
    rows = []
    for place, ((a, b), one) in enumerate(zip(pairs, found)):
        by_seed = ", ".join(f"{100 * points:+.1f}" for points in one["ua_by_seed"].values()) or "-"
        tests = {test: [p_value(one[test]), p_value(values[place])] for test, values in corrected.items()}
        ua, wa = ([_points(one, score), *tests[f"{score}_p"]] for score in ("ua", "wa"))
        rows.append([a.name, b.name, *ua, by_seed, *wa, *tests["mcnemar_p"]])
    return rows


def choice_table(experiment: Experiment, name: str) -> Table | None:
    """What the inner folds of every seed and outer fold chose, and by which inner UA; None where none did yet."""
    if len(experiment.candidates) < 2:
        return None
    rows = []
    for run in experiment.outer_runs():
        choice = experiment.choice(run.seed, run.fold)
        if choice is not None:
            inner = [f"{percent(share)}{' *' * (place == choice['chosen'])}" for place, share in _counted(choice)]
            rows.append([run.seed, run.fold, ", ".join(run.test_speakers), *inner, f"candidate {choice['chosen']}"])
    if not rows:
        return None
    header = ["seed", "fold", "test speakers", *(f"candidate {c + 1}" for c in range(len(experiment.candidates)))]
    caption = (
        f"{marking(marks_of(experiment))}Nested choice, {experiment.title}: pooled UA of every candidate on inner "
        "folds of the training speakers; the starred one was trained again and scored once."
    )
    return table(name, caption, [*header, "chosen"], rows, left=3)


def p_value(p: float) -> str:
    """A p-value for people.

    Example
    -------
    >>> p_value(0.0312), p_value(0.0001)
    ('0.031', '< 0.001')
    """
    return "< 0.001" if p < 0.0005 else f"{p:.3f}"


def _counted(choice: dict) -> list[tuple[int, float]]:
    return list(enumerate(choice["inner_ua"], start=1))


def _pooled(found: dict, score: str) -> str:
    value, low, high = (percent(found[f"{score}_{part}"]) for part in ("pooled", "low", "high"))
    return f"{value} [{low}, {high}]"


def _points(found: dict, score: str) -> str:
    value, low, high = (100 * found[f"{score}_{part}"] for part in ("difference", "low", "high"))
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"


def _few(names: str) -> str:
    """The speakers of a fold; of many only the first and the number."""
    listed = names.split(", ")
    return names if len(listed) <= 6 else f"{listed[0]} to {listed[-1]} ({len(listed)} speakers)"


def _least_p(speakers: int) -> str:
    """What so few speakers cannot show."""
    if speakers > EXACT_SPEAKERS:
        return ""
    return f" With {speakers} speakers no p by speaker can be below {min(1.0, 2 / 2**speakers):.3f}."


def _pairs_in_words(number: int) -> str:
    return "one pair" if number == 1 else f"{number} pairs, p corrected for their number by Holm"
