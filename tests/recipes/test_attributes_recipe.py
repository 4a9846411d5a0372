"""The recipe with valence, arousal and dominance, as a user runs it, with tiny settings."""

from pathlib import Path

from programs import run_python

from akd_toolkit.evaluate.report.summary import concordances
from akd_toolkit.experiment.scores_file import read_scores

GENERATED = Path(__file__).resolve().parents[2] / "recipes" / "Generated"


def test_arousal_of_unseen_speakers_is_learned_from_labels_and_teachers(tmp_path):
    small = [
        "--number_of_epochs=8",
        "--batch_size=8",
        "--prepare.speakers=4",
        "--prepare.utterances_per_speaker_and_emotion=4",
        "--outer_folds=[[f01, m01], [f02, m02]]",
        f"--output_folder={tmp_path}",
        f"--store_folder={tmp_path}/store",
    ]
    done = run_python("train.py", "hparams/attributes.yaml", *small, cwd=GENERATED)
    assert done.returncode == 0, done.stderr
    scores = read_scores(tmp_path / "seed17" / "fold1" / "outer" / "scores.csv")
    found = concordances(scores)
    assert list(found) == ["valence", "arousal", "dominance"] and found["arousal"] > 0.4, found
    assert "## Attributes" in (tmp_path / "report.md").read_text() and (tmp_path / "student.onnx").is_file()
