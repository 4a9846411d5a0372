"""The test speech of a run, and scores of an engine on it."""

import json
import shutil

import numpy as np
import pytest
from corpora import write_corpus
from finished import write_plan, write_scores_of

from akd_toolkit.data.manifest import load_waveforms
from akd_toolkit.deploy.export.speech import score
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.inference.engine import Engine

LABELS = ("loud", "soft")
STUDENT = {"student": {"name": "micro_cnn"}, "label_order": LABELS, "train_speakers": ["A"], "test_speakers": ["B"]}


@pytest.fixture
def run_folder(tmp_path):
    """A finished run of fold 2, tested on speaker B: one soft utterance, and one that ends loud."""
    waves = {label: np.full(32000, 0.25, np.float32) for label in LABELS}
    waves["loud"][-100:] = 0.875
    speech = [(speaker + label, speaker, label, wave) for speaker in "AB" for label, wave in waves.items()]
    manifest = write_corpus(tmp_path, speech, LABELS, "toy")
    folder = tmp_path / "results"
    write_plan(folder, manifest, [["A"], ["B"]])
    home = folder / "seed17/fold2/outer"
    home.mkdir(parents=True)
    (home / "student.json").write_text(json.dumps(STUDENT))
    write_scores_of(home, manifest, "B", np.full((2, 2), 0.5), fold=2)
    return home


def louder_is_loud(waveforms):
    """[batch, 2]: the largest sample, and what is left to 1."""
    peak = np.abs(waveforms).max(axis=1)
    return np.stack([peak, 1 - peak], axis=1)


def test_scores_are_means_over_the_windows_of_evaluation(run_folder):
    experiment, run = Experiment.of_run(run_folder)
    test = run, experiment.manifest, load_waveforms(experiment.manifest, False)
    scores = score(Engine("none", LABELS, 1.0, 0.5, louder_is_loud), *test, "scoring").set_index("ID")
    # Windows of 1 s begin at 0, 0.5 and 1 s; only the last has the end.
    assert scores.loc["Bloud", "p_loud"] == pytest.approx((0.25 + 0.25 + 0.875) / 3, abs=1e-4)
    assert scores.loc["Bsoft", "p_loud"] == pytest.approx(0.25, abs=1e-4)
    assert scores["prediction"].tolist() == ["soft", "soft"]
    assert scores["truth"].to_dict() == {"Bloud": "loud", "Bsoft": "soft"}
    assert (scores["fold"].tolist(), scores["seed"].tolist()) == ([2, 2], [17, 17])
    with pytest.raises(ValueError, match="soft, loud"):  # another order of labels
        score(Engine("none", LABELS[::-1], 1.0, 0.5, louder_is_loud), *test, "scoring")


@pytest.mark.parametrize("where", ["compressed/seed17/fold2/1-prune", "seed17/fold2/outer/compressed/1-prune"])
def test_a_compressed_student_is_one_of_its_run(run_folder, where):
    home = run_folder.parents[2]
    step = home / where
    step.mkdir(parents=True)
    shutil.copy(run_folder / "scores.csv", step)
    (step / "student.json").write_text(json.dumps({**STUDENT, "compressed_by": [{"name": "prune"}]}))
    experiment, run = Experiment.of_run(step)
    assert (run.name, run.folder, run.test_speakers) == ("seed17/fold2/outer", step, ("B",))
    others = experiment.like(run)  # nothing of fold 1 is done
    assert [(other.fold, other.state) for other in others] == [(1, "planned"), (2, "done")]
    assert others[0].folder == home / where.replace("fold2", "fold1")
    assert experiment.like(Experiment.of_run(run_folder)[1])[1].folder == run_folder
    (step / "student.json").write_text(json.dumps(STUDENT))
    with pytest.raises(FileNotFoundError, match="outer run"):
        Experiment.of_run(step)
