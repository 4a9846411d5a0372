"""Stored students evaluated again, each on its condition, once."""

import numpy as np
import pandas as pd
import pytest

from akd_toolkit.data.audio import read_audio
from akd_toolkit.data.manifest import MARK
from akd_toolkit.evaluate.studies import conditions as changed
from akd_toolkit.evaluate.studies import evaluate_saved as module
from akd_toolkit.evaluate.studies import noise_study, overlap_study
from akd_toolkit.evaluate.studies.disturbances import disturb
from akd_toolkit.evaluate.studies.evaluate_saved import Condition, evaluate_saved
from akd_toolkit.experiment.scores_file import read_scores
from akd_toolkit.metrics import ua


@pytest.fixture
def few(monkeypatch):
    """A noise study of one condition of each kind."""
    codecs, noises = [Condition(name, name) for name in changed.CODECS], [Condition(k, k, 0.0) for k in changed.NOISES]
    conditions = [Condition("clean"), *noises, Condition("room", "reverberation", 0.3), *codecs]
    monkeypatch.setattr(changed, "noise_conditions", lambda: conditions)
    return conditions


def probabilities(scores, run):
    rows = scores[(scores["seed"] == run.seed) & (scores["fold"] == run.fold)].set_index("ID")
    return rows[[name for name in scores.columns if name.startswith("p_")]]


def assert_equal(scores, run, by_hand):
    rows = probabilities(scores, run)
    assert set(rows.index) == set(by_hand)
    np.testing.assert_allclose(rows.loc[list(by_hand)], list(by_hand.values()), atol=1e-5)


def test_windows_of_the_condition_are_averaged_per_utterance(experiment, naive):
    conditions = [Condition("own"), Condition("short", window_s=0.3, overlap_s=0.1)]
    found = evaluate_saved([experiment], "overlap", conditions)[0]
    assert len(found["own"]) == 2 * len(experiment.manifest)
    run = experiment.outer_runs()[-1]
    test = experiment.manifest.of(run.test_speakers)
    assert_equal(found["own"], run, naive(run, test))
    assert_equal(found["short"], run, naive(run, test, 4800, 3200))


def test_babble_is_made_of_the_training_speakers_of_the_fold(experiment, naive):
    found = evaluate_saved([experiment], "noise", [Condition("babble", "babble", 0.0)])[0]["babble"]
    run, voices = experiment.outer_runs()[0], {"f2": [], "m2": []}
    for row in experiment.manifest.of(run.train_speakers):
        voices[row.speaker].append(read_audio(row.wav))

    def change(row, wave):
        return disturb(wave, "babble", 0.0, row.id, voices)

    assert_equal(found, run, naive(run, experiment.manifest.of(run.test_speakers), change=change))


def test_only_missing_damaged_and_outdated_files_are_computed_again(experiment, monkeypatch):
    conditions = [Condition("own"), Condition("white 0 dB", "white", 0.0)]
    before = evaluate_saved([experiment], "noise", conditions)[0]
    folder = experiment.folder / "studies/noise/seed17"
    (folder / "fold1/white-0-dB.csv").unlink()
    (folder / "fold1/own.csv").write_text("ID,spea")
    computed, real = [], module.evaluate_task
    monkeypatch.setattr(module, "evaluate_task", lambda task, progress: (computed.append(task), real(task, progress)))
    after = evaluate_saved([experiment], "noise", conditions)[0]
    files = [[student.scores for student in task.students] for task in computed]
    assert files == [[folder / "fold1/own.csv"], [folder / "fold1/white-0-dB.csv"]]
    for name in before:
        pd.testing.assert_frame_equal(before[name], after[name])
    run, other = experiment.outer_runs()[:2]
    (run.folder / "student.safetensors").write_bytes((other.folder / "student.safetensors").read_bytes())
    module.load_checked.cache_clear()
    again = evaluate_saved([experiment], "noise", conditions[:1])[0]["own"]
    assert not probabilities(before["own"], run).equals(probabilities(again, run))
    assert probabilities(before["own"], other).equals(probabilities(again, other))


def test_several_jobs_give_the_same_scores(experiment):
    conditions = [Condition("white 0 dB", "white", 0.0), Condition("GSM", "GSM")]
    one, two = (evaluate_saved([experiment], f"jobs{jobs}", conditions, jobs)[0] for jobs in (1, 2))
    for name in one:
        pd.testing.assert_frame_equal(one[name], two[name])


def test_bad_experiments_are_refused(experiment, make_experiment, tmp_path):
    with pytest.raises(ValueError, match="teachers alone"):
        overlap_study([make_experiment("teacher", settings={"student": None})])
    with pytest.raises(ValueError, match="twice"):
        noise_study([experiment, experiment], to=tmp_path)
    run = experiment.outer_runs()[0]
    about = run.folder / "student.json"
    about.write_text(about.read_text().replace('"anger",\n    "boredom"', '"boredom",\n    "anger"'))
    module.load_checked.cache_clear()
    with pytest.raises(ValueError, match=r"boredom, anger, neutral.*anger, boredom, neutral"):
        evaluate_saved([experiment], "noise", [Condition("own")])
    (run.folder / "scores.csv").unlink()
    with pytest.raises(ValueError, match="1 of 4.*seed17/fold1/outer"):
        overlap_study([experiment])


def test_every_pair_of_window_and_overlap_has_a_row(experiment):
    path = overlap_study([experiment], windows_s=[0.4], overlaps_s=[0.2, 0.5])
    table = pd.read_csv(path.with_name("table.csv"))
    # 0.5 s do not fit into 0.4 s; no overlap and the length used in training, 1 s, are added
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


def test_several_systems_have_own_tables_and_a_common_one(experiment, tmp_path, make_experiment, few):
    second = make_experiment("kd", settings={"speaker_independent": False})
    with pytest.raises(ValueError, match="--to"):
        noise_study([experiment, second])
    path = noise_study([experiment, second], to=tmp_path / "to")
    assert path == tmp_path / "to/noise/table.md" and path.read_text().count(MARK) >= 2
    table = pd.read_csv(path.with_name("table.csv"))
    assert table["condition"].tolist() == [condition.name for condition in few] * 2
    own = pd.read_csv(second.folder / "studies/noise/table.csv")
    pd.testing.assert_frame_equal(own, table[len(few) :].reset_index(drop=True))
    assert {(path.parent / name).stat().st_size > 5000 for name in ("plot.png", "plot.svg")} == {True}


def test_the_page_says_whether_clean_scores_equal_the_stored_ones(make_experiment, few):
    experiment = make_experiment("akd")  # its stored scores are random
    path = noise_study([experiment])
    clean = read_scores(path.parent / "seed17/fold1/clean.csv").set_index("ID")
    stored = experiment.outer_runs()[0].scores().set_index("ID")
    columns = ["p_anger", "p_boredom", "p_neutral"]
    gap = (clean.loc[stored.index, columns] - stored[columns]).abs().max().max()
    assert pd.read_csv(path.with_name("table.csv"))["gap_to_stored"][0] >= gap > 0.01
    assert "**On clean speech" in path.read_text()
    for run in experiment.outer_runs():
        scores = path.parent / f"seed{run.seed}/fold{run.fold}/clean.csv"
        (run.folder / "scores.csv").write_bytes(scores.read_bytes())
    assert "**On clean speech" not in noise_study([experiment]).read_text()
