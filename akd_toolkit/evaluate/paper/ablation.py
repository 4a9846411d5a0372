"""Table 4: an ablation, every number of it recomputed from the stored scores of its rows."""

import logging
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from akd_toolkit.evaluate.paper.document import Block, Figure, Heading, Table, Text
from akd_toolkit.evaluate.paper.markdown import read_markdown
from akd_toolkit.evaluate.paper.systems import marking, marks_of, whole_seeds
from akd_toolkit.evaluate.report.ablation import ablation_markdown, read_ablation, write_ablation
from akd_toolkit.experiment.paths import ExperimentPaths
from akd_toolkit.experiment.stored import Experiment

logger = logging.getLogger(__name__)


def is_ablation(folder: str | Path) -> bool:
    """Whether the folder is that of an ablation."""
    return ExperimentPaths(folder).ablation_table.is_file()


def ablation_blocks(folder: str | Path, to: str | Path) -> list[Block]:
    """The table and picture of an ablation, made anew in ``to``/ablation-<name>; ``folder`` is only read.

    Its plan (titles, groups, what each row is compared with) is taken from ablation.csv, its numbers are not.

    Raises
    ------
    ValueError
        If no row has stored scores, or as ``write_ablation``.
    """
    folder = Path(folder)
    listed = read_ablation(ExperimentPaths(folder).ablation_table).to_dict("records")
    rows, lost, experiments = [], [], []
    for line in tqdm(listed, desc=f"{folder.name}: scores of its rows", unit="row"):
        found = _scores(folder, line)
        if found is None:
            lost.append(line["system"])
            continue
        experiment, scores = found
        experiments.append(experiment)
        plan = {"title": line["system"], "against": line["against"] or None}
        kept = {name: line[name] for name in ("group", "student", "teachers", "params", "minutes")}
        rows.append({**plan, **kept, "scores": scores})
    if not rows:
        raise ValueError(f"no row of the ablation {folder} has stored scores; run hparams/ablation.yaml again.")
    present = {row["title"] for row in rows}
    rows = [row if row["against"] in present else {**row, "against": None} for row in rows]
    name = f"ablation-{folder.resolve().name}"
    marks = list(dict.fromkeys(mark for experiment in experiments for mark in marks_of(experiment)))
    marked = marking(marks)
    corpus = experiments[0].manifest.corpus
    title = f"{' - '.join([*marks, corpus])}: ablation"
    order = experiments[0].label_order
    logger.info("recomputing %d rows of %s: some seconds each", len(rows), folder)
    known = all(experiment.speakers_known for experiment in experiments)
    planned = max(len(listed), len(rows))
    write_ablation(Path(to) / name, rows, order, title=title, speakers_known=known, planned=planned)
    blocks: list[Block] = [Heading(f"Table 4. Ablation, {corpus} ({folder.resolve().name})")]
    for block in read_markdown(ablation_markdown(ExperimentPaths(Path(to) / name).ablation_table)):
        if isinstance(block, Table):
            caption = f"{marked}Table 4. Ablation, {corpus}: {len(rows)} rows, recomputed from their scores."
            block = Table(f"table4-{name}", caption, block.header, block.rows, block.left)
        blocks.append(block)
    if lost:
        blocks.insert(1, Text(f"No stored scores, so left out: {', '.join(lost)}.", warning=True))
    caption = f"{marked}Ablation, {corpus}: UA points of every row against the row it is compared with."
    alt = "dots and intervals: UA points of every row of the ablation"
    return [*blocks, Figure(f"{name}/ablation.png", caption, alt, themed=False)]


def _scores(folder: Path, line: dict[str, str]) -> tuple[Experiment, pd.DataFrame] | None:
    """The experiment of a row and its scores; of a row without a student, ``<title>: <teacher>``, the teacher's."""
    title = line["system"] if line["student"] else line["system"].removesuffix(f": {line['teachers']}")
    place = ExperimentPaths(folder).row(title)
    if not ExperimentPaths(place).exists:
        return None
    experiment = Experiment.read(place)
    if not line["student"]:
        scores = _teacher_scores(experiment, line["teachers"])
        return None if scores is None else (experiment, scores)
    done = experiment.outer_runs(done=True)
    return (experiment, whole_seeds(experiment.scores(done))) if done else None


def _teacher_scores(experiment: Experiment, title: str) -> pd.DataFrame | None:
    """Scores of a teacher, from the row itself or from a row that has the same teacher under the same protocol."""
    rows = [experiment.folder, *ExperimentPaths(experiment.folder.parent).rows()]
    for row in map(Experiment.read, rows):
        if _heads(row, title) == _heads(experiment, title) and title in (found := row.teacher_scores()):
            return found[title]
    return None


def _heads(experiment: Experiment, title: str) -> list:
    """What the answers of a teacher depend on, beside the corpus."""
    settings = experiment.settings
    return [(settings.get("teachers") or {}).get(title), *(settings.get(key) for key in ("views", "outer_folds"))]
