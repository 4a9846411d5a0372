"""Pictures: the numbers in them, that nothing is cut, and that they are the same every time."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from akd_toolkit.evaluate.report.plots import plot_confusion, plot_forest, plot_reliability, plot_trust_epochs

LABELS = [["L", "A"], ["anger (hot)", "boredom", "disgust", "a rather long label", "$neutral_1$"]]
LABELS.append([f"emotion_{index}" for index in range(12)])


def assert_nothing_is_cut(figure):
    box = figure.get_tightbbox(FigureCanvasAgg(figure).get_renderer())  # around all that is drawn, in inches
    width, height = figure.get_size_inches()
    assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height


def trust(labels=("ang", "sad")):
    """Two folds that move from equal trust to 0.8 and to 0.6 in the first of two teachers, in three epochs."""
    rows = []
    for label in labels:
        for fold, end in enumerate((0.8, 0.6)):
            for epoch, first in zip((1, 2, 3), np.linspace(0.5, end, 3)):
                shared = {"epoch": epoch, "label": label, "fold": fold, "seed": 1}
                rows.append({**shared, "teacher": "whisper", "weight": first})
                rows.append({**shared, "teacher": "opensmile", "weight": 1 - first})
    return pd.DataFrame(rows)


def test_confusion_matrix_shows_percent_of_the_row_and_the_count(tmp_path, drawn):
    plot_confusion([[3, 1, 0], [0, 8, 0], [0, 0, 0]], ["ang", "sad", "neu"], [tmp_path / "c.png"])
    cells = [text.get_text() for text in drawn[0].axes[0].texts]
    assert cells == ["75 %", "3", "25 %", "1", "100 %", "8"]


@pytest.mark.parametrize("labels", LABELS)
def test_no_label_is_cut(tmp_path, drawn, labels):
    counts = np.random.default_rng(0).integers(0, 200, size=(len(labels), len(labels)))
    title = "EmoDB: hybrid_transformer, two teachers, five folds, three seeds"
    plot_confusion(counts, labels, [tmp_path / "c.png"], title=title)
    plot_trust_epochs(trust(labels), tmp_path / "e.png", title=title)
    assert [tick.get_text() for tick in drawn[0].axes[0].get_xticklabels()] == labels
    panels = [axes for axes in drawn[1].axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in panels] == labels
    for figure in drawn:
        assert_nothing_is_cut(figure)


def test_pictures_are_the_same_every_time(tmp_path, drawn):
    bins = {"bin": [6, 14, 15], "confidence": [0.4, None, 0.95], "accuracy": [0.5, None, 0.8], "count": [3, 0, 30]}
    row = {"text": "akd  70.0", "value": 0.7, "low": 0.6, "high": 0.8, "seeds": [0.69, 0.71], "colour": "#0072B2"}
    for run in "ab":
        paths = [tmp_path / f"{run}{suffix}" for suffix in (".png", ".svg")]
        plot_reliability({"before": pd.DataFrame(bins), "after": pd.DataFrame(bins)}, paths, title="Toy")
        rows = [{"text": "a heading"}, {**row, "hollow": False}, {**row, "hollow": True}]
        plot_forest(rows, [tmp_path / f"{run}f.svg"], "UA", title="Toy")
    for name in (".png", ".svg", "f.svg"):
        assert (tmp_path / f"a{name}").read_bytes() == (tmp_path / f"b{name}").read_bytes()
    for figure in drawn:
        assert_nothing_is_cut(figure)
