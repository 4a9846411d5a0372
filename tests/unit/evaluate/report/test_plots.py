import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from akd_toolkit.evaluate.report import (
    plot_confusion,
    plot_teacher_weights,
    plot_teacher_weights_epochs,
    plot_training,
    plots,
)

LONG = ["anger (hot)", "boredom", "disgust", "a rather long label", "$neutral_1$"]


@pytest.fixture
def drawn(monkeypatch):
    """Every figure that is saved."""
    figures = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda figure, *args, **kw: (figures.append(figure), save(figure, *args, **kw))
    )
    return figures


def assert_nothing_is_cut(figure):
    box = figure.get_tightbbox(FigureCanvasAgg(figure).get_renderer())  # around all that is drawn, in inches
    width, height = figure.get_size_inches()
    assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height


def curves(num_folds=2):
    rows = [
        {
            "epoch": epoch,
            "split": split,
            "part": part,
            "value": 1 / (1 + epoch) + fold,
            "fold": fold,
            "seed": 1,
        }
        for fold in range(num_folds)
        for part in ("total", "cross_entropy", "soft_target_kl", "ua")
        for split in ("train", "valid")
        for epoch in range(1, 6)
    ]
    return pd.DataFrame(rows)


def trust(labels=("ang", "sad")):
    """Two folds that move from equal trust to 0.8 and to 0.6 in the first of two teachers, in three epochs."""
    rows = []
    for label in labels:
        for fold, end in enumerate((0.8, 0.6)):
            for epoch, first in zip((1, 2, 3), np.linspace(0.5, end, 3)):
                rows.append({"epoch": epoch, "teacher": "whisper", "label": label, "weight": first, "fold": fold})
                rows.append({"epoch": epoch, "teacher": "opensmile", "label": label, "weight": 1 - first, "fold": fold})
    return pd.DataFrame(rows)


def test_confusion_matrix_shows_percent_of_the_row_and_the_count(tmp_path, drawn):
    plot_confusion([[3, 1], [0, 8]], ["ang", "sad"], [tmp_path / "c.png"])
    cells = [text.get_text() for text in drawn[0].axes[0].texts]
    assert cells == ["75 %", "3", "25 %", "1", "100 %", "8"]


@pytest.mark.parametrize("labels", [["L", "A"], LONG, [f"emotion_{index}" for index in range(12)]])
def test_no_label_of_the_confusion_matrix_is_cut(tmp_path, drawn, labels):
    counts = np.random.default_rng(0).integers(0, 200, size=(len(labels), len(labels)))
    plot_confusion(
        counts,
        labels,
        [tmp_path / "c.png"],
        title="EmoDB: hybrid_transformer, two teachers, five folds, three seeds",
    )
    assert_nothing_is_cut(drawn[0])
    ticks = [tick.get_text() for tick in drawn[0].axes[0].get_xticklabels()]
    assert ticks == labels


def test_a_class_without_utterances_stays_empty(tmp_path, drawn):
    plot_confusion([[0, 0], [2, 6]], ["ang", "sad"], [tmp_path / "c.png"])
    assert [text.get_text() for text in drawn[0].axes[0].texts] == ["25 %", "2", "75 %", "6"]


def test_pictures_are_whole_and_alike_each_time(tmp_path):
    counts, labels = np.full((3, 3), 1.5), ["ang", "neu", "sad"]
    for name in ("one", "two"):
        plot_confusion(counts, labels, [tmp_path / f"{name}.png", tmp_path / f"{name}.svg"])
    for suffix in (".png", ".svg"):
        assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()
    with Image.open(tmp_path / "one.png") as picture:
        picture.load()
        assert min(picture.size) > 400
    assert len(list(tmp_path.iterdir())) == 4


def test_training_curves_have_one_panel_for_each_part_and_a_faint_line_for_each_run(tmp_path, drawn):
    plot_training(curves(), tmp_path / "t.png", title="EmoDB")
    panels = [axes for axes in drawn[0].axes if axes.get_visible()]
    titles = [axes.get_title(loc="left") for axes in panels]
    assert titles == ["total", "cross_entropy", "soft_target_kl", "ua"]
    assert len(panels[0].lines) == 2 * (2 + 1)  # two splits, each two runs and their mean
    assert_nothing_is_cut(drawn[0])


def test_training_curves_need_no_fold_and_one_epoch_is_enough(tmp_path):
    plot_training(curves(1).drop(columns=["fold", "seed"]).query("epoch == 1"), tmp_path / "t.png")
    assert (tmp_path / "t.png").stat().st_size > 1000


def test_teacher_weights_are_drawn_by_class(tmp_path, drawn):
    weights = pd.DataFrame([[0.2, 0.96], [0.8, 0.04]], index=["whisper_small", "opensmile"], columns=["ang", "sad"])
    plot_teacher_weights(weights, tmp_path / "w.png", title="EmoDB")
    inside = [text.get_text() for text in drawn[0].axes[0].texts]
    assert inside == ["0.20", "0.96", "0.80"]  # 0.04 has no room
    assert_nothing_is_cut(drawn[0])


@pytest.mark.parametrize("labels", [["ang", "sad"], LONG, [f"emotion_{index}" for index in range(12)]])
def test_teacher_weights_over_epochs_have_one_panel_for_each_class(tmp_path, drawn, labels):
    plot_teacher_weights_epochs(trust(labels), tmp_path / "e.png", title="EmoDB")
    panels = [axes for axes in drawn[0].axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in panels] == labels
    assert all(axes.get_ylim()[0] <= 0 and axes.get_ylim()[1] >= 1 for axes in panels)
    assert_nothing_is_cut(drawn[0])


def test_a_line_is_the_mean_over_the_runs_and_its_band_their_range(tmp_path, drawn):
    plot_teacher_weights_epochs(trust(["ang"]), tmp_path / "e.png")
    axes = drawn[0].axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    assert list(lines) == ["equal trust", "whisper", "opensmile"]
    # fold 0 moves from 0.5 to 0.8, fold 1 from 0.5 to 0.6
    np.testing.assert_allclose(lines["whisper"].get_ydata(), [0.5, 0.6, 0.7])
    np.testing.assert_allclose(lines["opensmile"].get_ydata(), [0.5, 0.4, 0.3])
    band = axes.collections[0].get_paths()[0].vertices
    np.testing.assert_allclose([band[band[:, 0] == 3, 1].min(), band[band[:, 0] == 3, 1].max()], [0.6, 0.8])


def test_teacher_weights_over_epochs_are_alike_each_time(tmp_path):
    for name in ("one", "two"):
        plot_teacher_weights_epochs(trust(LONG), tmp_path / f"{name}.png", title="EmoDB")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_what_cannot_be_drawn_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"confusion must be \[3, 3\] for 3 labels, got \[2, 2\]"):
        plot_confusion(np.eye(2), ["a", "b", "c"], [tmp_path / "c.png"])
    with pytest.raises(ValueError, match="training curves need at least one row with epoch, split, part and value"):
        plot_training(curves().drop(columns="part"), tmp_path / "t.png")
    with pytest.raises(ValueError, match="training curves need at least one row"):
        plot_training(curves().iloc[:0], tmp_path / "t.png")
    for wrong in ([[0.5], [0.6]], [[1.5], [-0.5]], [[np.nan], [1.0]]):
        with pytest.raises(ValueError, match="teacher weights must be shares that sum to 1"):
            plot_teacher_weights(pd.DataFrame(wrong, columns=["ang"]), tmp_path / "w.png")
    for wrong in (trust().query("epoch == 1"), trust().drop(columns="label"), trust().assign(weight=1.5)):
        with pytest.raises(ValueError, match="teacher weights over epochs need epoch, teacher, label and weight"):
            plot_teacher_weights_epochs(wrong, tmp_path / "e.png")
    assert list(tmp_path.iterdir()) == []


def test_drawing_needs_no_display_and_no_pyplot():
    assert "pyplot" not in vars(plots)
