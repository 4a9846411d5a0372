"""A leak-free experiment passes; each leak that is planted into it is found by its check."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import soundfile

from akd_toolkit.audit.experiment import title_of
from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.experiment.stored import Experiment

OUTER, INNER = "seed1/fold2/outer", "seed1/fold2/inner1-candidate1"  # fold 2: C is the test; inner 1: A and B
RECORD, SCORES = f"{OUTER}/record.json", f"{OUTER}/scores.csv"
HUBERT_ER = {"er": {"name": "transformers_encoder", "source": "superb/hubert-large-superb-er"}}


def leaks(found):
    return {check for verdict, check in found if verdict == "leak"}


def heads(trained_on, answers_for=""):
    return {"loud": [{"trained_on": list(trained_on), "answers_for": list(answers_for)}]}


def test_a_leak_free_experiment_is_proved(experiment, found_in):
    found = found_in(experiment, sound=True)
    assert leaks(found) == set() and not any(verdict == "warning" for verdict, _ in found)
    assert {check for verdict, check in found if verdict == "proved"} == {
        *("speakers", "utterances", "segments", "identical", "near copies", "sentences", "provenance"),
        *("runs", "scores", "heads", "epochs", "choice", "report"),
    }
    assert "9 splits of 4 speakers" in found["proved", "speakers"][0]
    assert "15 finished runs" in found["proved", "runs"][0]
    assert "3 refits used" in found["proved", "choice"][0] and "12 inner runs" in found["proved", "choice"][0]
    assert title_of(Experiment.read(experiment)) == f"Toy: toy ({experiment}; 15 of 15 runs done)"


def swap_scores(table, name):
    """The scores with the prediction of one utterance turned to the other class."""
    mine = table["ID"] == name
    table.loc[mine, ["p_anger", "p_sadness"]] = table.loc[mine, ["p_sadness", "p_anger"]].to_numpy()
    return table.assign(prediction=np.where(table["p_anger"] > table["p_sadness"], "anger", "sadness"))


@pytest.mark.parametrize(("checks", "token", "change"), [  # the checks that find a leak, and a token of a sentence
    ("plan", "speaker C", lambda p: p.settings(outer_folds=[["A", "B"], ["C"], ["C", "D"]])),
    ("runs", f"{OUTER}: .* speaker C;", lambda p: p.json(RECORD, train_speakers=["A", "B", "C", "D"])),
    ("runs", r"\(C\)", lambda p: p.json(f"{INNER}/record.json", train_speakers=["C", "D"])),  # the outer test
    ("scores report", "A0 of speaker A",
     lambda p: p.scores(SCORES, lambda s: s.replace({"ID": {"C8": "A0"}, "speaker": {"C": "A"}}))),
    ("scores report", "C8", lambda p: p.scores(SCORES, lambda s: s[1:])),
    ("scores", "twice", lambda p: p.scores(SCORES, lambda s: pd.concat([s, s[:1]]))),
    ("scores report", "C9", lambda p: p.scores(SCORES, lambda s: s.assign(truth="anger"))),
    ("identical", r"C8 \(training\) and A0 \(test\)", lambda p: p.manifest(C8={"sha256": "A0"})),
    ("segments", r"C8 \(training\) and A0 \(test\) overlap",
     lambda p: p.manifest(A0={"wav": "/x.wav"}, C8={"wav": "/x.wav", "start": 16000})),
    ("heads", f"{OUTER}: .* teacher loud .* test speaker C", lambda p: p.json(RECORD, heads=heads("CD"))),
    ("heads", "speaker C, outside", lambda p: p.json(f"{INNER}/record.json", heads=heads("CD"))),
    ("provenance", r"teacher er \(superb/hubert-large-superb-er\) was trained on IEMOCAP",
     lambda p: (p.settings(teachers=HUBERT_ER), p.manifest(corpus="IEMOCAP"))),
    ("choice", r"candidate 1.* chose 2 .*50.0, 100.0\)", lambda p: p.json(RECORD, candidate={"batch_size": 1})),
    ("choice", "choice.json .*candidate 1.*candidate 2", lambda p: p.json("seed1/fold2/choice.json", chosen=1)),
    ("choice", "another candidate than", lambda p: p.settings(candidates=[{"batch_size": 8}, {"batch_size": 2}])),
    ("choice", "no longer among the candidates", lambda p: p.settings(candidates=[{"batch_size": 2}])),
    ("choice", "50.0, 100.0.* 58.3, 100.0", lambda p: p.scores(f"{INNER}/scores.csv", lambda s: swap_scores(s, "A1"))),
    ("choice", "4 of its 4 inner runs", lambda p: [shutil.rmtree(f) for f in p.folder.glob("seed1/fold2/inner*")]),
    ("scores choice", "outer test speaker C",
     lambda p: shutil.copy(p.folder / SCORES, p.folder / INNER / "scores.csv")),
    ("report", f"leaves out {OUTER}", lambda p: p.scores("scores.csv", lambda s: s[s["fold"] != 2])),
    ("report", f"scores of {OUTER}", lambda p: p.scores("scores.csv", lambda s: swap_scores(s, "C8"))),
    ("report", "seed 1, fold 2", lambda p: (p.folder / SCORES).unlink()),
])  # fmt: skip
def test_a_planted_leak_is_found(experiment, plant, found_in, checks, token, change):
    change(plant)
    found, checks = found_in(experiment), set(checks.split())
    assert leaks(found) == checks
    assert any(re.search(token, line) for check in checks for line in found["leak", check])
    assert not any(("proved", check) in found for check in checks)


@pytest.mark.parametrize("epochs", [[1], [1, 2, 3], [2, 2]])
def test_an_epoch_that_was_not_set_beforehand(experiment, found_in, epochs):
    pd.DataFrame({"epoch": epochs, "total": 0.0}).to_csv(experiment / OUTER / "metrics.csv", index=False)
    found = found_in(experiment)
    assert leaks(found) == {"epochs"} and "and 2 were set beforehand" in found["leak", "epochs"][0]


def test_epochs_may_be_a_candidate_and_a_head_may_be_fitted_first(experiment, found_in, plant):
    candidates = [{"number_of_epochs": 1}, {"number_of_epochs": 2, "head_decay": 0.1}]
    plant.settings(candidates=candidates)
    for run in Experiment.read(experiment).runs():
        index = run.candidate or 2
        pd.DataFrame({"epoch": [[1], [0, 1, 2]][index - 1]}).to_csv(run.folder / "metrics.csv", index=False)
        plant.json(run.folder / "record.json", candidate=candidates[index - 1])
    assert leaks(found_in(experiment)) == set()


@pytest.mark.parametrize(("verdict", "check", "token", "change"), [  # none is a leak
    ("warning", "segments", "pieces of one recording",  # of two speakers
     lambda p: p.manifest(A0={"wav": "/d.wav", "stop": 16000}, C8={"wav": "/d.wav", "start": 16000, "stop": 32000})),
    ("warning", "segments", "call7_seg", lambda p: p.manifest(A0={"id": "call7_seg1"}, C8={"id": "call7_seg2"})),
    ("proved", "segments", "", lambda p: p.manifest(C9={"id": "03-01-01"}, D12={"id": "03-01-02"})),
    ("proved", "segments", "", lambda p: p.manifest(lambda row: replace(row, id=f"recording_part_{row.id[1:]}"))),
    ("warning", "identical", "A0 and A1", lambda p: p.manifest(A1={"sha256": "A0"})),
    ("warning", "sentences", "1 of 14 sentences .*25 %",
     lambda p: p.manifest(lambda row: replace(row, text="kids" if row.id in ("A0", "C8", "D12") else row.id))),
    ("not_proved", "speakers", "4 of 16 utterances",
     lambda p: (p.manifest(lambda row: replace(row, speaker=row.speaker.replace("C", "Unknown"))),
                p.settings(outer_folds=[["A", "B"], ["Unknown"], ["D"]]))),
    ("not_proved", "speakers", "speaker_independent", lambda p: p.settings(speaker_independent=False)),
    ("warning", "heads", "", lambda p: p.json(RECORD, heads=heads("AD", "A"))),
    ("not_proved", "heads", OUTER, lambda p: p.json(RECORD, heads={})),
    ("not_proved", "heads", OUTER, lambda p: p.json(RECORD, heads={"loud": []})),
    ("not_proved", "heads", OUTER, lambda p: p.json(RECORD, heads=heads(""))),
    ("proved", "provenance", "", lambda p: p.settings(teachers=HUBERT_ER)),
    ("not_proved", "provenance", "teacher w",
     lambda p: p.settings(teachers={"w": {"name": "transformers_encoder", "source": "openai/whisper-base"}})),
    ("not_proved", "runs", "student.json", lambda p: (p.folder / OUTER / "student.json").write_text("{")),
    ("warning", "report", "2 of 3 outer folds",
     lambda p: (p.json("plan.json", folds=[1, 3]), shutil.rmtree(p.folder / "seed1/fold2"),
                p.scores("scores.csv", lambda s: s[s["fold"] != 2]))),
    ("warning", "report", f"2 of 3 planned outer runs .*{OUTER}",
     lambda p: ((p.folder / SCORES).unlink(), p.scores("scores.csv", lambda s: s[s["fold"] != 2]))),
])  # fmt: skip
def test_what_is_not_a_leak_is_said(experiment, plant, found_in, verdict, check, token, change):
    change(plant)
    found = found_in(experiment)
    assert check not in leaks(found)
    assert any(re.search(token, line) for line in found[verdict, check])
    if check in ("speakers", "runs"):
        assert ("proved", check) not in found


def test_with_unknown_speakers_names_prove_nothing_about_voices(experiment, found_in, plant):
    plant.settings(speaker_independent=False)
    assert not {("proved", check) for check in ("speakers", "runs", "heads")} & set(found_in(experiment))


def test_one_speaker_in_two_spellings_is_not_proved_apart(experiment, found_in, plant):
    names = {"A": "Anna", "B": "Speaker 1-1", "C": "anna ", "D": "speaker 11"}
    plant.manifest(lambda row: replace(row, speaker=names[row.speaker]))
    plant.settings(outer_folds=[["Anna", "Speaker 1-1"], ["anna "], ["speaker 11"]])
    (sentence,) = found_in(experiment)["not_proved", "speakers"]
    assert "1 pair" in sentence and "'Anna' and 'anna '" in sentence


def test_a_student_that_starts_from_a_model_of_the_corpus(experiment, found_in, plant, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "README.md").write_text("---\ndatasets: [someone/ravdess]\n---\nWhisper, fine-tuned.")
    plant.settings(student={"name": "encoder_student", "source": "model"})
    plant.manifest(corpus="RAVDESS")
    assert "RAVDESS" in found_in(experiment)["leak", "provenance"][0]


def test_a_noisy_trimmed_copy_across_a_split_and_a_short_recording(experiment, found_in, plant, tmp_path):
    wav = next(row.wav for row in Manifest.read(experiment / "manifest.csv") if row.id == "A0")
    samples, _ = soundfile.read(wav, dtype="float32")
    noise = np.random.default_rng(0).standard_normal(len(samples))
    soundfile.write(tmp_path / "copy.wav", 0.3 * samples[800:-800] + 0.001 * noise[1600:], 16000)
    soundfile.write(tmp_path / "short.wav", 0.1 * noise[:3200], 16000)
    copy = {"wav": str(tmp_path / "copy.wav"), "stop": len(samples) - 1600, "sha256": "other"}
    short = {"wav": str(tmp_path / "short.wav"), "stop": 3200, "sha256": "short"}
    plant.manifest(C8=copy, D12=short, D13={"wav": "/gone.wav", "sha256": "gone"})
    found = found_in(experiment, sound=True)
    assert leaks(found) == {"near copies"}
    assert "fold 1: C8 (training) and A0 (test) are copies by their sound" in found["leak", "near copies"][0]
    assert "for 2 of 16 recordings: D12: below 0.5 s of speech" in found["not_proved", "near copies"][0]


def unlabelled(plant, **row):
    row = {"id": "s1", "wav": "/s1.wav", "speaker": "unlabelled", "sha256": "s1", **row}
    row = Utterance(start=0, stop=32000, duration=2.0, emotion="unlabelled", **row)
    manifest = Manifest("Street", ("unlabelled",), (row,))
    plant.settings(unlabelled_hash={"street": manifest.hash})
    return manifest


def test_unlabelled_speech_that_holds_the_test(experiment, found_in, plant):
    wav = next(row.wav for row in Manifest.read(experiment / "manifest.csv") if row.id == "C8")
    found = found_in(experiment, unlabelled=unlabelled(plant, wav=wav, sha256="C8"))
    assert leaks(found) == {"unlabelled"} and "s1 (unlabelled speech) and C8 (Toy)" in found["leak", "unlabelled"][0]
    found = found_in(experiment, sound=True, unlabelled=unlabelled(plant, wav=wav, sha256="other"))
    assert "are copies by their sound" in found["leak", "unlabelled"][0]


def test_unlabelled_speech_of_other_people(experiment, found_in, plant, tmp_path):
    soundfile.write(tmp_path / "s1.wav", 0.1 * np.random.default_rng(99).standard_normal(32000), 16000)
    manifest = unlabelled(plant, wav=str(tmp_path / "s1.wav"))
    found = found_in(experiment, sound=True, unlabelled=manifest)
    assert [line.split()[-1] for line in found["proved", "unlabelled"]] == ["(SHA-256).", "(fingerprints)."]
    assert "no test speaker speaks in Street" in found["not_proved", "unlabelled"][0]
    (tmp_path / "s1.wav").unlink()
    found = found_in(experiment, sound=True, unlabelled=manifest)
    assert len(found["proved", "unlabelled"]) == 1 and "1 of 17 recordings" in found["not_proved", "unlabelled"][0]


def test_the_manifest_of_unlabelled_speech_is_found_in_a_store_or_requested(experiment, found_in, plant):
    manifest = unlabelled(plant, speaker="A")
    assert "--unlabelled" in found_in(experiment)["not_proved", "unlabelled"][0]
    checked = ["5 unlabelled utterances (street) hold no recording of the test"]
    plant.json(next(experiment.glob("seed*/fold1/outer/record.json")).relative_to(experiment), proved=checked)
    plant.settings(unlabelled_hash={"street": "0123456789ab", "other": "ba9876543210"})
    other, street = found_in(experiment)["not_proved", "unlabelled"]
    assert "1 run compared" in street and "compared" not in other
    plant.settings(unlabelled_hash={"street": manifest.hash})
    manifest.write(experiment.parent / "store/street/manifest.csv")
    assert "the corpus's own" in found_in(experiment)["proved", "unlabelled"][0]


def test_scores_of_a_teacher_are_checked_like_those_of_runs(experiment, found_in, plant):
    folder = experiment / "teachers" / "loud"
    folder.mkdir(parents=True)
    shutil.copy(experiment / "scores.csv", folder)
    assert leaks(found_in(experiment)) == set()
    plant.scores("teachers/loud/scores.csv", lambda s: s[s["ID"] != "C8"])
    assert "teacher loud, fold 2: scores.csv lacks 1 of 4" in found_in(experiment)["leak", "scores"][0]


def test_damaged_files_are_named_and_nothing_breaks(experiment, found_in):
    (experiment / RECORD).write_text("{")
    (experiment / OUTER / "metrics.csv").unlink()
    (experiment / "seed1/fold3/choice.json").write_text("[]")
    found = found_in(experiment)
    assert leaks(found) == {"choice"} and "missing or damaged" in found["leak", "choice"][0]
    assert {("not_proved", check) for check in ("runs", "heads", "epochs")} <= set(found)
