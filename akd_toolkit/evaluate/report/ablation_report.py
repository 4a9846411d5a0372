"""The report of an ablation: the scores of every row, and its difference from the row that it is compared with."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from akd_toolkit.data.files import write_text_aside
from akd_toolkit.data.manifest import MARK, WATERMARK, is_marked
from akd_toolkit.evaluate.report.plots import COLOURS, MUTED, plot_forest
from akd_toolkit.evaluate.report.summary import compare, summarise
from akd_toolkit.evaluate.report.tables import count, frame_table, p_value, read_cells, render
from akd_toolkit.experiment.paths import ExperimentPaths
from akd_toolkit.metrics.significance import EXACT_SPEAKERS, holm

SCORES = ("wa_pooled", "wa_low", "wa_high", "ua_pooled", "ua_low", "ua_high", "ua_seed_std")
AHEAD = tuple(f"{score}_{part}" for score in ("ua", "wa") for part in ("ahead", "ahead_low", "ahead_high"))
TESTS = ("ua_p", "ua_p_holm", "wa_p", "wa_p_holm")
COLUMNS = (
    *("group", "system", "against", "student", "teachers", "params"),
    *("folds", "seeds", "speakers", "utterances"),
    *(*SCORES, *AHEAD, *TESTS, "ua_by_seed", "minutes"),
)


def write_ablation(
    folder: str | Path,
    rows: Sequence[Mapping],
    label_order: Sequence[str],
    *,
    title: str,
    generated: bool = False,
    speakers_known: bool = True,
    planned: int | None = None,
) -> pd.DataFrame:
    """Write ablation.md, ablation.csv, ablation.png and ablation.svg into ``folder`` and return the table.

    The table has the columns ``COLUMNS``; shares here and percent in the files. ``ua_ahead`` is the row's pooled UA
    minus that of the row it is compared with; NaN without a comparison.

    Arguments
    ---------
    rows
        The finished rows, each with ``title``, ``group`` (its heading), ``scores`` (as ``make_scores``), ``against``
        (title of the row it is compared with, or None), ``student``, ``teachers``, ``params`` and ``minutes``.
    planned
        How many rows there will be in the end; the number given if None.
    """
    planned = planned or len(rows)
    table = _table(rows, label_order)
    if not speakers_known:
        table["group"] = [f"{MARK}: {group or 'all rows'}" for group in table["group"]]
    paths = ExperimentPaths(folder)
    write_text_aside(paths.ablation_table, _as_text(table).to_csv(index=False, lineterminator="\n"))
    plot_ablation(table, [paths.folder / "ablation.png", paths.folder / "ablation.svg"], title)
    page = render(
        "ablation.md.jinja",
        title=title,
        generated=generated,
        speakers_known=speakers_known,
        done=len(rows),
        planned=planned,
        table=ablation_markdown(paths.ablation_table),
        **{
            name: " to ".join(map(str, sorted({table[name].min(), table[name].max()})))
            for name in ("utterances", "speakers", "folds")
        },
    )
    write_text_aside(paths.ablation_report, page)
    return table


def plot_ablation(table: pd.DataFrame, paths: Sequence[str | Path], title: str = "") -> None:
    """Differences in pooled UA with their 95 % intervals, grouped; a hollow dot's interval includes 0."""
    rows, group = [], ""
    for row in table.to_dict("records"):
        if row["group"] != group:
            group = row["group"]
            rows.append({"text": group})
        text, value, low, high = f"{row['system']}: UA {100 * row['ua_pooled']:.1f}", *(row[name] for name in AHEAD[:3])
        if row["against"]:
            text += f", {100 * value:+.1f} against" if pd.notna(value) else ", not yet compared with"
            text += f" {row['against']}"
        colour = COLOURS[0] if low > 0 else COLOURS[1] if high < 0 else MUTED
        limits = {"value": value, "low": low, "high": high, "seeds": row["ua_by_seed"]}
        rows.append({"text": text, **limits, "colour": colour, "hollow": colour == MUTED})
    plot_forest(rows, paths, "difference in UA, points [95 % over speakers]", title, zero=True)


def read_ablation(path: str | Path) -> pd.DataFrame:
    """The rows of ablation.csv as text: percent with one decimal, empty where there is no value."""
    return read_cells(path, COLUMNS, "table of an ablation", "run hparams/ablation.yaml")


def ablation_markdown(path: str | Path) -> str:
    """ablation.csv as a Markdown table under the headings of its groups, and how to read it."""
    watermark, table, how_to_read = ablation_table(path)
    return "\n\n".join(filter(None, (watermark, frame_table(table, left=2), how_to_read)))


def ablation_table(path: str | Path) -> tuple[str, pd.DataFrame, str]:
    """The watermark if scores need one, the table of ablation.csv as texts, and how to read it."""
    rows = read_ablation(path)
    header = ["system", "against", "parameters", "folds x seeds", "WA pooled [95 %]", "UA pooled [95 %]", "seeds ±"]
    header += ["UA points [95 %]", "p", "Holm", "WA points [95 %]", "p", "Holm", "UA points, each seed"]
    cells, group = [], ""
    for row in rows.to_dict("records"):
        if row["group"] != group:
            group = row["group"]
            cells.append([f"**{group or 'others'}**", *[""] * (len(header) - 1)])
        cells.append(_cells(row))
    watermark = WATERMARK if rows["group"].map(is_marked).any() else ""
    return watermark, pd.DataFrame(cells, columns=header), _how_to_read(rows)


def _table(rows: Sequence[Mapping], label_order: Sequence[str]) -> pd.DataFrame:
    by_title = {row["title"]: row for row in rows}
    lines = []
    for row in rows:
        found = summarise(row["scores"], label_order)
        line = {"group": row["group"] or "", "system": row["title"], "against": row["against"] or "", "ua_by_seed": []}
        line |= {name: row[name] for name in ("student", "teachers", "params", "minutes")}
        line |= {name: found[name] for name in ("folds", "seeds", "speakers", "utterances", *SCORES)}
        if row["against"] in by_title:
            line |= _ahead(row, by_title[row["against"]])
        lines.append(line)
    table = pd.DataFrame(lines).reindex(columns=list(COLUMNS))
    compared = table["ua_p"].notna()
    for score in ("ua", "wa"):
        table.loc[compared, f"{score}_p_holm"] = holm(table.loc[compared, f"{score}_p"])
    return table


def _ahead(row: Mapping, other: Mapping) -> dict:
    """The columns of a comparison."""
    seeds = [", ".join(map(str, sorted(set(one["scores"]["seed"])))) for one in (row, other)]
    if row["student"] and other["student"] and seeds[0] != seeds[1]:  # a teacher's scores have no seed
        raise ValueError(
            f"row '{row['title']}' has the seeds {seeds[0]}, but '{other['title']}', which it is compared with, has "
            f"{seeds[1]}; run both with the same seeds."
        )
    found = compare(row["scores"], other["scores"])
    parts = [f"{score}_{part}" for score in ("ua", "wa") for part in ("difference", "low", "high")]
    ahead = {name: found[part] for name, part in zip(AHEAD, parts)}
    return {**ahead, "ua_p": found["ua_p"], "wa_p": found["wa_p"], "ua_by_seed": list(found["ua_by_seed"].values())}


def _as_text(table: pd.DataFrame) -> pd.DataFrame:
    """Percent with one decimal, as in results.csv; p with four; empty where there is no comparison."""
    text = table.map(lambda value: " ".join(str(value).split()))
    formats = {**dict.fromkeys(SCORES, "{:.1f}"), **dict.fromkeys(AHEAD, "{:+.1f}"), **dict.fromkeys(TESTS, "{:.4f}")}
    for name, form in formats.items():
        scale = 1 if name in TESTS else 100
        text[name] = ["" if pd.isna(value) else form.format(scale * value) for value in table[name]]
    text["ua_by_seed"] = [", ".join(f"{100 * share:+.1f}" for share in shares) for shares in table["ua_by_seed"]]
    text["minutes"] = [f"{float(minutes):.1f}" for minutes in table["minutes"]]
    return text


def _cells(row: Mapping[str, str]) -> list[str]:
    cells = [row["system"], row["against"] or "-", count(row["params"]), f"{row['folds']} x {row['seeds']}"]
    cells += [f"{row[f'{score}_pooled']} [{row[f'{score}_low']}, {row[f'{score}_high']}]" for score in ("wa", "ua")]
    cells.append(row["ua_seed_std"] if row["seeds"] != "1" else "-")
    for score in ("ua", "wa"):
        value, low, high = (row[f"{score}_{part}"] for part in ("ahead", "ahead_low", "ahead_high"))
        tests = [p_value(float(row[f"{score}_{test}"] or "nan")) for test in ("p", "p_holm")]
        cells += [f"{value} [{low}, {high}]", *tests] if value else ["-", "-", "-"]
    return [*cells, row["ua_by_seed"] or "-"]


def _how_to_read(rows: pd.DataFrame) -> str:
    num_comparisons = int((rows["ua_p"] != "").sum())
    if not num_comparisons:
        return "No two rows are compared yet."
    text = (
        "Points: the pooled score of the row minus that of the row *against* which it stands, on the same utterances, "
        "means over seeds. Interval: 95 %, paired, over speakers. p: permutation test that swaps the two systems "
        f"speaker by speaker. Holm: p corrected for the number of comparisons in the table, {num_comparisons}, UA "
        "and WA separately. They describe new speakers, not new seeds: *seeds ±* is the deviation of pooled UA over "
        "seeds."
    )
    speakers = rows["speakers"].astype(int).min()
    if speakers <= EXACT_SPEAKERS:
        least = 2 / 2**speakers
        text += (
            f" With {speakers} speakers no p can be below {least:.3f}, and none below "
            f"{min(1.0, num_comparisons * least):.3f} after the correction."
        )
    return text
