"""Parts of a report that other commands made: ablations, and the tables and pictures of studies."""

import logging
import re
from functools import partial
from pathlib import Path

import pandas as pd

from akd_toolkit.data.files import written_aside
from akd_toolkit.evaluate.report.ablation_report import ablation_table, read_ablation, write_ablation
from akd_toolkit.evaluate.report.comparisons import Parts, marking
from akd_toolkit.evaluate.report.systems import marks_of, whole_seeds
from akd_toolkit.evaluate.report.tables import percent
from akd_toolkit.evaluate.studies.calibration import BEFORE, STUDY
from akd_toolkit.experiment.paths import ExperimentPaths
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.progress import tqdm

logger = logging.getLogger(__name__)

PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")


def ablation_part(parts: Parts, folder: str | Path) -> dict:
    """Table 4 and picture of an ablation, recomputed into ``ablation-<name>``; ``folder`` is only read.

    Its plan (titles, groups, what each row is compared with) comes from ablation.csv, its numbers do not.
    """
    folder, paths = Path(folder), ExperimentPaths(folder)
    listed = read_ablation(paths.ablation_table).to_dict("records")
    rows, lost, experiments = [], [], []
    for line in tqdm(listed, desc=f"{folder.name}: scores of its rows", unit="row"):
        found = _row_scores(paths, line)
        if found is None:
            lost.append(line["system"])
            continue
        experiments.append(found[0])
        plan = {name: line[name] for name in ("group", "student", "teachers", "params", "minutes")}
        rows.append({"title": line["system"], "against": line["against"] or None, **plan, "scores": found[1]})
    if not rows:
        raise ValueError(f"no row of the ablation {folder} has stored scores; run hparams/ablation.yaml again.")
    present = {row["title"] for row in rows}
    for row in rows:
        row["against"] = row["against"] if row["against"] in present else None
    name, corpus = f"ablation-{folder.resolve().name}", experiments[0].manifest.corpus
    marks = list(dict.fromkeys(mark for experiment in experiments for mark in marks_of(experiment)))
    logger.info("recomputing %d rows of %s", len(rows), folder)
    write_ablation(
        parts.folder / name,
        rows,
        experiments[0].label_order,
        title=f"{' - '.join([*marks, corpus])}: ablation",
        speakers_known=all(experiment.speakers_known for experiment in experiments),
        planned=len(listed),
    )
    watermark, table, how_to_read = ablation_table(ExperimentPaths(parts.folder / name).ablation_table)
    caption = f"{marking(marks)}Table 4. Ablation, {corpus}: {len(rows)} rows, recomputed from their scores."
    return {
        "title": f"Table 4. Ablation, {corpus} ({folder.resolve().name})",
        "lost": lost,
        "watermark": watermark,
        "table": parts.table(f"table4-{name}", caption, table, left=2),
        "how_to_read": how_to_read,
        "figure": f"![dots and intervals: UA points of every row of the ablation]({name}/ablation.png)\n\n"
        f"*{marking(marks)}Ablation, {corpus}: UA points of every row against the row it is compared with.*",
    }


def study_parts(parts: Parts, experiment: Experiment, key: str, folder: str | Path = "") -> list[tuple[str, str]]:
    """(title, Markdown) of every study of an experiment; its tables go to ``tables/`` and its pictures to ``studies/``.

    Their names begin with ``key`` and the name of the study. With ``folder`` they are those of an ablation, of which
    the experiment is a row.
    """
    found, marks = [], marking(marks_of(experiment))
    title = f"{experiment.corpus}: {Path(folder).resolve().name}" if folder else experiment.title
    for page in (ExperimentPaths(folder) if folder else experiment.paths).study_tables():
        name = f"{key}-{page.parent.name}"
        try:
            text = page.read_text(encoding="utf-8").strip()
        except UnicodeDecodeError:
            raise ValueError(f"{page} is not text; run the study again.") from None
        for table in page.parent.glob("*.csv"):
            _copy(table, parts.folder / "tables" / f"study-{name}-{table.name}")
        shown = {path for _, path in PICTURE.findall(text)}
        left_over = [path.name for path in sorted(page.parent.glob("*.png")) if path.name not in shown]
        text += "".join(f"\n\n![{page.parent.name}: {Path(picture).stem}]({picture})" for picture in left_over)
        text = PICTURE.sub(partial(_copied, parts, page, name, marks), re.sub("^#+", "####", text, flags=re.MULTILINE))
        if marks:
            text = re.sub(r"\n\n(?=\|)", f"\n\n*{marks.strip()}*\n\n", text)
        found.append((f"{marks}{title}: {page.parent.name}", text))
    return found


def calibration_bins(experiment: Experiment) -> dict[str, pd.DataFrame]:
    """Legend -> bins of every condition of the calibration study; empty where it was not run."""
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


def _row_scores(ablation: ExperimentPaths, line: dict[str, str]) -> tuple[Experiment, pd.DataFrame] | None:
    """The experiment of a row and its scores; for a row without a student, ``<title>: <teacher>``, the teacher's."""
    teacher = line["teachers"]
    place = ablation.row(line["system"] if line["student"] else line["system"].removesuffix(f": {teacher}"))
    if not ExperimentPaths(place).exists:
        return None
    experiment = Experiment.read(place)
    if line["student"]:
        done = experiment.outer_runs(done=True)
        return (experiment, whole_seeds(experiment.scores(done))) if done else None
    for row in map(Experiment.read, [place, *ablation.rows()]):  # its own, or the same in another row
        if _heads(row, teacher) == _heads(experiment, teacher) and teacher in (found := row.teacher_scores()):
            return experiment, found[teacher]
    return None


def _heads(experiment: Experiment, title: str) -> list:
    """What the scores of a teacher depend on, beside the corpus."""
    settings = experiment.settings
    shared = [settings.get(key) for key in ("views", "outer_folds")]
    return [(settings.get("teachers") or {}).get(title), settings.get("label_share") or 1.0, *shared]


def _copied(parts: Parts, page: Path, name: str, marks: str, found: re.Match) -> str:
    """A picture of a study, copied with its SVG twin beside the report; empty if there is no such file."""
    alt, path = found[1], page.parent / Path(found[2]).name
    for source in {path, path.with_suffix(".png"), path.with_suffix(".svg")}:
        if source.is_file():
            _copy(source, parts.folder / "studies" / f"{name}-{source.name}")
    return f"![{alt}](studies/{name}-{path.name})\n\n*{marks}{alt}*" if path.is_file() else ""


def _copy(source: Path, target: Path) -> None:
    with written_aside(target) as aside:
        aside.write_bytes(source.read_bytes())
