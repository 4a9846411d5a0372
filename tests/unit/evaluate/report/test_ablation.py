import re
import time

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from akd_toolkit.evaluate.report import (
    ablation_markdown,
    compare,
    plot_ablation,
    read_ablation,
    summarise,
    write_ablation,
)
from akd_toolkit.evaluate.report.ablation import COLUMNS
from akd_toolkit.metrics import holm

NAMES = ["ablation.csv", "ablation.md", "ablation.png", "ablation.svg"]


@pytest.fixture
def rows(invented):
    """A teacher that knows no seed, a student, and two rows that are compared with others."""

    def entry(title, group, against, scores, student="micro_cnn"):
        return {
            **{"title": title, "group": group, "against": against, "scores": scores},
            **{"student": student, "teachers": "a + b", "params": 163_000, "minutes": 12.34},
        }

    return [
        entry("teachers: a", "Table 4", None, invented(skill=3.0, seeds=(7,)), student=""),
        entry("student", "Table 4", "teachers: a", invented(skill=0.2)),
        entry("AKD", "Table 4", "student", invented(skill=2.0)),
        entry("no gate", "without one ingredient", "AKD", invented(skill=1.9)),
    ]


@pytest.fixture
def figures(monkeypatch):
    """Every figure that is saved."""
    kept, save = [], Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, *args, **kw: (kept.append(figure), save(figure, *args, **kw)))
    return kept


@pytest.fixture
def many():
    """A table of 24 rows in four groups with labels of every length."""
    draw = np.random.default_rng(0)
    titles = ["no gate", "W" * 60, "decoupled_kd, 8 epochs of warm-up", "$alpha_1$ + a rather long name of six words"]
    lines = []
    for index in range(24):
        middle = draw.normal(scale=0.05)
        compared = index % 6 > 0
        lines.append(
            {
                **{"group": f"group {index // 6}", "system": f"{index} {titles[index % 4]}"},
                "against": f"{index - index % 6} {titles[(index - index % 6) % 4]}" if compared else "",
                **{"ua_pooled": 0.7 + middle, "ua_ahead": middle if compared else np.nan},
                "ua_ahead_low": middle - 0.02 if compared else np.nan,
                "ua_ahead_high": middle + 0.03 if compared else np.nan,
                "ua_by_seed": [middle - 0.04, middle + 0.04] if compared else [],
            }
        )
    return pd.DataFrame(lines)


def test_every_row_has_the_scores_of_its_summary_and_the_differences_of_a_comparison(tmp_path, rows, labels):
    table = write_ablation(tmp_path, rows, labels, title="EmoDB").set_index("system")
    for row in rows:
        found = summarise(row["scores"], labels)
        for name in ("wa_pooled", "ua_pooled", "wa_low", "ua_high", "ua_seed_std", "folds", "seeds", "speakers"):
            assert table.loc[row["title"], name] == found[name]
    ahead = compare(rows[2]["scores"], rows[1]["scores"])
    for score in ("ua", "wa"):
        found = [ahead[f"{score}_{part}"] for part in ("difference", "low", "high", "p")]
        kept = [f"{score}_{part}" for part in ("ahead", "ahead_low", "ahead_high", "p")]
        assert table.loc["AKD", kept].tolist() == found
    assert table.loc["AKD", "ua_by_seed"] == list(ahead["ua_by_seed"].values())
    compared = table["against"] != ""
    assert table.loc[compared, "ua_p_holm"].tolist() == holm(table.loc[compared, "ua_p"]).tolist()
    assert table.loc[~compared, ["ua_ahead", "wa_p", "wa_p_holm"]].isna().all(axis=None)


def test_files_tell_what_the_table_tells(tmp_path, rows, labels):
    table = write_ablation(tmp_path, rows, labels, title="EmoDB", generated=True, planned=6)
    assert sorted(path.name for path in tmp_path.iterdir()) == NAMES
    written = read_ablation(tmp_path / "ablation.csv")
    assert tuple(written.columns) == COLUMNS
    assert written["ua_pooled"].tolist() == [f"{100 * share:.1f}" for share in table["ua_pooled"]]
    assert written["ua_ahead"].tolist() == ["", *(f"{100 * share:+.1f}" for share in table["ua_ahead"][1:])]
    page = (tmp_path / "ablation.md").read_text(encoding="utf-8")
    assert page.startswith("# EmoDB\n\n> **The corpus is generated")
    assert "**4 of 6 rows done.** 60 utterances of 6 speakers in 3 outer folds by speaker" in page
    assert ablation_markdown(tmp_path / "ablation.csv") in page and "](ablation.png)" in page
    last = written.iloc[-1]
    wanted = f"| no gate | AKD | 0.16 M | 3 x 2 | {last.wa_pooled} [{last.wa_low}, {last.wa_high}] | {last.ua_pooled} ["
    assert wanted in page
    assert re.findall(r"^\| \*\*(.+?)\*\*", page, flags=re.M) == ["Table 4", "without one ingredient"]
    assert "With 6 speakers no p can be below 0.031, and after the correction none below 0.094." in page  # 3 * 2 / 64
    assert len({line.count("|") for line in page.splitlines() if line.startswith("|")}) == 1


def test_rows_in_hand_are_told_before_those_that_they_are_compared_with(tmp_path, rows, labels):
    table = write_ablation(tmp_path, rows[3:], labels, title="EmoDB", planned=4)
    assert table["ua_p"].isna().all()
    page = (tmp_path / "ablation.md").read_text(encoding="utf-8")
    assert "**1 of 4 rows done.**" in page and "No two rows are compared yet." in page


def test_the_same_rows_give_the_same_files(tmp_path, rows, labels):
    for name in ("one", "two"):
        write_ablation(tmp_path / name, rows, labels, title="EmoDB")
    for name in NAMES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_rows_that_cannot_be_compared_are_refused_and_the_files_kept(tmp_path, rows, labels, invented):
    write_ablation(tmp_path, rows, labels, title="EmoDB")
    before = [(tmp_path / name).read_bytes() for name in NAMES]

    def refused(rows, message):
        with pytest.raises(ValueError, match=message):
            write_ablation(tmp_path, rows, labels, title="EmoDB")

    refused([], "needs at least one row that is done")
    refused([*rows, rows[0].copy()], "two rows of the ablation have the title 'teachers: a'; rename one")
    refused(rows[2:], "row 'AKD' is compared with 'student', but there is no such row; name one of AKD, no gate")
    other = rows[3] | {"scores": invented(seeds=(1, 3))}
    refused(
        [*rows[:3], other], "row 'no gate' has the seeds 1, 3, but 'AKD', .*, has 1, 2; run both with the same seeds"
    )
    fewer = rows[3] | {"scores": invented().query("fold < 2")}
    refused([*rows[:3], fewer], "was scored by only one of the two systems .*; run both on the same folds")
    assert before == [(tmp_path / name).read_bytes() for name in NAMES]


def test_a_file_with_other_columns_is_refused(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"there is no table of an ablation .*; run hparams/ablation.yaml first"
    ):
        read_ablation(tmp_path / "ablation.csv")
    (tmp_path / "ablation.csv").write_text("system,ua\nno gate,99\n")
    with pytest.raises(ValueError, match=r"ablation.csv has the columns system, ua but needs group, system"):
        read_ablation(tmp_path / "ablation.csv")


def test_picture_fills_the_dots_whose_interval_excludes_zero(tmp_path, many, figures):
    plot_ablation(many, [tmp_path / "a.png"])
    (axes,) = figures[0].axes
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    compared = many[many["against"] != ""]
    assert len(dots) == len(compared) == 20
    for dot, row in zip(dots, compared.itertuples(), strict=True):
        assert dot.get_xdata()[0] == pytest.approx(100 * row.ua_ahead)
        hollow = row.ua_ahead_low <= 0 <= row.ua_ahead_high
        assert (to_hex(dot.get_markerfacecolor()) == "#ffffff") == hollow
    places = [dot.get_ydata()[0] for dot in dots]
    low, high = axes.get_ylim()
    assert places == sorted(places) and low > high  # in the order of the table, from the top
    texts = [text.get_text() for text in axes.texts]
    assert [text for text in texts if re.fullmatch(r"\d\d\.\d", text)] == [
        f"{100 * ua:.1f}" for ua in many["ua_pooled"]
    ]
    assert texts.count("reference") == 4


def test_no_text_of_the_picture_is_cut_or_lies_on_another_or_on_an_interval(tmp_path, many, figures):
    plot_ablation(many, [tmp_path / "a.png"], title="EmoDB: an ablation whose title is so long that it needs two lines")
    figure = figures[0]
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # places the label of the axis
    renderer = canvas.get_renderer()
    assert figure.get_figwidth() == pytest.approx(120 / 25.4, abs=0.01)
    boxes = [
        (text.get_text(), text.get_window_extent(renderer))
        for text in figure.findobj(Text)
        if text.get_text().strip() and text.get_visible()
    ]
    for index, (text, box) in enumerate(boxes):
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.width and box.y1 <= figure.bbox.height, text
        for other, another in boxes[index + 1 :]:
            apart = box.x1 <= another.x0 or another.x1 <= box.x0 or box.y1 <= another.y0 + 1 or another.y1 <= box.y0 + 1
            assert apart, f"'{text}' lies on '{other}'"
    (axes,) = figure.axes
    for line in axes.lines[1:]:  # all but the line of zero
        drawn = line.get_window_extent(renderer)
        for text, box in boxes:
            assert drawn.x1 <= box.x0 or box.x1 <= drawn.x0 or drawn.y1 <= box.y0 or box.y1 <= drawn.y0, text


def test_picture_names_the_reference_once_where_all_rows_share_it(tmp_path, many, figures):
    shared = many.assign(against=["", *["0 no gate"] * 23])
    plot_ablation(shared, [tmp_path / "a.png"])
    (axes,) = figures[0].axes
    assert axes.get_xlabel() == "UA points against 0 no gate, 95 % over speakers"
    assert not [text for text in axes.texts if text.get_text().startswith("against")]
    plot_ablation(many, [tmp_path / "b.png"])
    (axes,) = figures[1].axes
    assert axes.get_xlabel() == "UA points against the row named, 95 % over speakers"
    assert "against 0 no gate" in [text.get_text() for text in axes.texts]


def test_an_ablation_without_a_row_is_not_drawn(tmp_path, many):
    with pytest.raises(ValueError, match="there is no row of the ablation to draw"):
        plot_ablation(many.iloc[:0], [tmp_path / "a.png"])
    assert list(tmp_path.iterdir()) == []


def test_a_comparison_costs_little(rows):
    compare(rows[2]["scores"], rows[1]["scores"])
    start = time.process_time()
    for _ in range(5):
        compare(rows[2]["scores"], rows[1]["scores"])
    assert (time.process_time() - start) / 5 < 0.8  # so that 25 rows stay below 20 s
