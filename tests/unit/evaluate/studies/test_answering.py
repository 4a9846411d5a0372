"""Stored students answer again, each on what its condition says, once."""

import numpy as np
import pandas as pd
import pytest
import torch

from akd_toolkit.data.audio import read_audio
from akd_toolkit.evaluate.studies import answering
from akd_toolkit.evaluate.studies.answering import Condition, answer
from akd_toolkit.evaluate.studies.disturbances import disturb
from akd_toolkit.experiment.scores_file import read_scores
from akd_toolkit.models.storage import load_student


def naive(run, manifest, window, hop, change=lambda row, wave: wave):
    """Posteriors of one run's test by plain loops, window by window, in samples."""
    student, _ = load_student(run.folder)
    found = {}
    for row in manifest.of(run.test_speakers):
        wave = change(row, read_audio(row.wav))
        starts = list(range(0, max(0, len(wave) - window), hop)) + [max(0, len(wave) - window)]
        parts = []
        for start in starts:
            with torch.no_grad():
                logits = student(torch.from_numpy(wave[start : start + window].copy())[None]).logits[0].double()
            parts.append(torch.softmax(logits, dim=0).numpy())
        found[row.id] = np.mean(parts, axis=0)
    return found


def probabilities(scores, seed, fold):
    rows = scores[(scores["seed"] == seed) & (scores["fold"] == fold)].set_index("ID")
    return rows[[name for name in scores.columns if name.startswith("p_")]]


def test_windows_of_the_condition_are_averaged_per_utterance(experiment):
    conditions = [Condition("own"), Condition("short", window_s=0.3, overlap_s=0.1)]
    found = answer([experiment], "overlap", conditions)[0]
    assert list(found) == ["own", "short"] and len(found["own"]) == 2 * len(experiment.manifest)
    run = experiment.outer_runs()[-1]
    for name, window, hop in (("own", 16000, 8000), ("short", 4800, 3200)):
        rows = probabilities(found[name], run.seed, run.fold)
        by_hand = naive(run, experiment.manifest, window, hop)
        assert set(rows.index) == set(by_hand)
        for utterance_id, probs in by_hand.items():
            np.testing.assert_allclose(rows.loc[utterance_id], probs, atol=1e-5)


def test_babble_is_made_of_the_training_speakers_of_the_fold(experiment):
    found = answer([experiment], "noise", [Condition("babble", "babble", 0.0)])[0]["babble"]
    run = experiment.outer_runs()[0]
    voices = {}
    for row in experiment.manifest:
        if row.speaker in run.train_speakers:
            voices.setdefault(row.speaker, []).append(read_audio(row.wav))
    assert set(voices) == {"f2", "m2"}
    by_hand = naive(
        run, experiment.manifest, 16000, 8000, lambda row, wave: disturb(wave, "babble", 0.0, row.id, voices)
    )
    rows = probabilities(found, run.seed, run.fold)
    for utterance_id, probs in by_hand.items():
        np.testing.assert_allclose(rows.loc[utterance_id], probs, atol=1e-5)


def test_every_utterance_is_disturbed_once_for_all_seeds(experiment, monkeypatch):
    heard = []

    def counted(speech, kind, level, utterance_id, voices):
        heard.append(utterance_id)
        return speech

    monkeypatch.setattr(answering, "disturb", counted)
    answer([experiment], "noise", [Condition("white", "white", 0.0)])
    assert sorted(heard) == sorted(experiment.manifest.ids)  # two seeds, and each utterance once


def test_what_is_done_is_not_done_again(experiment, monkeypatch):
    conditions = [Condition("own"), Condition("white 0 dB", "white", 0.0)]
    before = answer([experiment], "noise", conditions)[0]
    part = experiment.folder / "studies/noise/seed17/fold1/white-0-dB.csv"
    part.unlink()
    asked = []
    real = answering.answer_task
    monkeypatch.setattr(answering, "answer_task", lambda task, progress: (asked.append(task), real(task, progress)))
    after = answer([experiment], "noise", conditions)[0]
    assert [(task.condition.name, [a.part for a in task.answers]) for task in asked] == [("white 0 dB", [part])]
    for name in before:
        pd.testing.assert_frame_equal(before[name], after[name])


def test_scores_of_another_student_are_not_taken_for_this_one(experiment):
    condition = Condition("own")
    before = answer([experiment], "noise", [condition])[0]["own"]
    run = experiment.outer_runs()[0]
    other = experiment.outer_runs()[1]
    (run.folder / "student.safetensors").write_bytes((other.folder / "student.safetensors").read_bytes())
    answering.student_of.cache_clear()
    after = answer([experiment], "noise", [condition])[0]["own"]
    assert not probabilities(before, run.seed, 1).equals(probabilities(after, run.seed, 1))
    assert probabilities(before, run.seed, 2).equals(probabilities(after, run.seed, 2))


def test_a_file_that_was_torn_is_written_again(experiment):
    before = answer([experiment], "noise", [Condition("own")])[0]["own"]
    part = experiment.folder / "studies/noise/seed17/fold1/own.csv"
    part.write_text("ID,spea")
    pd.testing.assert_frame_equal(answer([experiment], "noise", [Condition("own")])[0]["own"], before)
    assert list(read_scores(part).columns[-2:]) == ["condition", "key"]


def test_several_jobs_give_the_same_scores(experiment, tmp_path):
    conditions = [Condition("white 0 dB", "white", 0.0), Condition("GSM", "GSM")]
    one = answer([experiment], "one", conditions)[0]
    two = answer([experiment], "two", conditions, jobs=2)[0]
    for name in one:
        pd.testing.assert_frame_equal(one[name], two[name])


def test_an_unfinished_experiment_is_refused(experiment):
    (experiment.outer_runs()[2].folder / "scores.csv").unlink()
    with pytest.raises(
        ValueError, match=r"is not finished: 1 of 4 outer runs are missing \(first: seed18/fold1/outer\)"
    ):
        answer([experiment], "noise", [Condition("own")])


def test_a_student_of_another_label_order_is_refused(experiment):
    about = experiment.outer_runs()[0].folder / "student.json"
    about.write_text(about.read_text().replace('"anger",\n    "boredom"', '"boredom",\n    "anger"'))
    answering.student_of.cache_clear()
    with pytest.raises(
        ValueError, match=r"orders classes as \[boredom, anger, neutral\] and its corpus as \[anger, bor"
    ):
        answer([experiment], "noise", [Condition("own")])


def test_a_missing_recording_is_named(experiment):
    answering.waveforms_of.cache_clear()
    first = experiment.manifest.utterances[0]
    with open(first.wav, "w"):
        pass
    with pytest.raises(ValueError, match="is empty"):
        answer([experiment], "noise", [Condition("own")])
