"""Tables of the studies that ask students again."""

import pandas as pd
import pytest

from akd_toolkit.data.watermark import MARK
from akd_toolkit.evaluate.studies import noise, noise_study, overlap_study
from akd_toolkit.evaluate.studies.answering import Condition
from akd_toolkit.experiment.scores_file import read_scores
from akd_toolkit.metrics.scores import ua


@pytest.fixture
def few(monkeypatch):
    """A study of a few conditions, one of each kind."""
    conditions = [
        Condition("clean"),
        *(Condition(f"{kind} 0 dB", kind, 0.0) for kind in noise.NOISES),
        Condition("reverberation T60 0.3 s", "reverberation", 0.3),
        *(Condition(codec, codec) for codec in noise.CODECS),
    ]
    monkeypatch.setattr(noise, "noise_conditions", lambda: conditions)
    return conditions


def test_every_pair_of_window_and_overlap_has_a_row(experiment):
    path = overlap_study([experiment], windows_s=[0.4], overlaps_s=[0.2, 0.5])
    table = pd.read_csv(path.with_name("table.csv"))
    # 0.5 s do not fit into 0.4 s; no overlap and the length trained with, 1 s, are added
    assert table[["window_s", "overlap_s"]].values.tolist() == [[0.4, 0], [0.4, 0.2], [1, 0], [1, 0.2], [1, 0.5]]
    assert table["trained_window"].tolist() == [False, False, True, True, True]
    assert table["ua_ahead"].isna().tolist() == [True, False, True, False, False]
    scores = [
        pd.concat([read_scores(path.parent / f"seed{s}/fold{f}/window-0.4-s-overlap-{o}-s.csv") for f in (1, 2)])
        for s, o in ((17, "0.2"), (18, "0.2"), (17, "0"), (18, "0"))
    ]
    each = [ua(run["truth"], run["prediction"]) for run in scores]
    row = table.iloc[1]
    assert row["ua_pooled"] == pytest.approx((each[0] + each[1]) / 2)
    assert row["ua_ahead"] == pytest.approx((each[0] + each[1] - each[2] - each[3]) / 2)
    assert row["utterances"] == 24 and row["seeds"] == 2
    assert "| toy: akd | 0.4 s | 0 s | " in path.read_text() and "|  | 1 s * | 0.5 s | " in path.read_text()


def test_a_common_table_needs_a_place_of_its_own(experiment, tmp_path, corpus, make_experiment, few):
    second = make_experiment(tmp_path / "results" / "kd", corpus, seeds=(17,))
    with pytest.raises(ValueError, match="2 folders need one for their common table; name it by --to FOLDER"):
        noise_study([experiment, second])
    path = noise_study([experiment, second], to=tmp_path / "to")
    assert path == tmp_path / "to/noise/table.md"
    table = pd.read_csv(path.with_name("table.csv"))
    assert table["system"].tolist() == ["toy: akd"] * len(few) + ["toy: kd"] * len(few)
    own = pd.read_csv(second.folder / "studies/noise/table.csv")
    pd.testing.assert_frame_equal(own, table[table["system"] == "toy: kd"].reset_index(drop=True))
    for name in ("plot.png", "plot.svg"):
        assert (path.parent / name).stat().st_size > 5000


def test_the_same_folder_twice_is_refused(experiment, tmp_path):
    with pytest.raises(ValueError, match="was given twice"):
        noise_study([experiment, experiment], to=tmp_path)


def test_the_page_says_whether_clean_answers_are_the_stored_ones(tmp_path, corpus, make_experiment, few):
    experiment = make_experiment(tmp_path / "akd", corpus)  # the students here never made the stored scores
    path = noise_study([experiment])
    clean = read_scores(path.parent / "seed17/fold1/clean.csv").set_index("ID")
    stored = experiment.outer_runs()[0].scores().set_index("ID")
    columns = ["p_anger", "p_boredom", "p_neutral"]
    gap = (clean.loc[stored.index, columns] - stored[columns]).abs().max().max()
    assert pd.read_csv(path.with_name("table.csv"))["gap_to_stored"][0] >= gap > 0.01
    assert "**On clean speech a posterior differs by" in path.read_text()
    for run in experiment.outer_runs():
        part = path.parent / f"seed{run.seed}/fold{run.fold}/clean.csv"
        (run.folder / "scores.csv").write_bytes(part.read_bytes())
    page = noise_study([experiment]).read_text()
    assert "On clean speech the posteriors are those that the experiment stored (largest difference 0)." in page


def test_scores_that_are_not_speaker_independent_are_marked(tmp_path, corpus, make_experiment):
    found = make_experiment(tmp_path / "open", corpus, settings={"speaker_independent": False})
    page = overlap_study([found], windows_s=[], overlaps_s=[]).read_text()
    assert page.count(MARK) >= 2 and page.index(MARK) < page.index("The stored students")


def test_an_experiment_of_teachers_alone_is_refused(tmp_path, corpus, make_experiment):
    found = make_experiment(tmp_path / "teacher", corpus, settings={"student": None})
    with pytest.raises(ValueError, match="holds no student: its recipe scores teachers alone"):
        overlap_study([found])
