"""A sound experiment passes; each leak, planted into it, is caught under its name."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import soundfile
from scipy.signal import resample_poly

from akd_toolkit.audit.stored import title_of
from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.data.split_checks import SEGMENT
from akd_toolkit.experiment.stored import Experiment

OUTER, INNER = "seed1/fold2/outer", "seed1/fold2/inner1-candidate1"  # fold 2: C is the test; inner 1: A and B


def leaks(found):
    return {check for verdict, check in found if verdict == "leak"}


def of(name, row, **changes):
    return replace(row, **changes) if row.id == name else row


def change_scores(path, change):
    scores = pd.read_csv(path, dtype={"ID": str, "speaker": str})
    change(scores).to_csv(path, index=False)


def test_a_sound_experiment_is_proved_and_nothing_is_wrongly_called_a_leak(experiment, found_in):
    found = found_in(experiment)
    assert leaks(found) == set()
    proved = {check for verdict, check in found if verdict == "proved"}
    assert proved == {
        *("speakers", "utterances", "segments", "identical", "near copies", "sentences", "provenance"),
        *("runs", "scores", "heads", "epochs", "choice", "report"),
    }
    assert not any(verdict == "warning" for verdict, _ in found)
    assert found["proved", "speakers"] == ["no speaker is on both sides of 9 splits of 4 speakers."]
    assert found["proved", "runs"] == [
        "15 finished runs trained and tested on the planned speakers, none on both sides."
    ]
    assert "3 refits used" in found["proved", "choice"][0] and "12 inner runs" in found["proved", "choice"][0]
    assert title_of(Experiment.read(experiment)) == f"Toy: toy ({experiment}; 15 of 15 runs done)"


def test_a_merely_planned_experiment_is_audited_by_its_plan(experiment, found_in):
    shutil.rmtree(experiment / "seed1")
    (experiment / "scores.csv").unlink()
    found = found_in(experiment)
    assert leaks(found) == set() and ("proved", "speakers") in found and ("proved", "runs") not in found


def test_a_speaker_in_two_groups_of_the_plan(experiment, found_in, plant):
    plant.settings(experiment, outer_folds=[["A", "B"], ["C"], ["C", "D"]])
    assert "speaker C is in several of the outer_folds" in found_in(experiment)["leak", "plan"][0]


def test_a_student_that_was_trained_on_a_test_speaker(experiment, found_in, plant):
    plant.json(experiment / OUTER / "record.json", train_speakers=["A", "B", "C", "D"])
    found = found_in(experiment)
    assert leaks(found) == {"runs"}
    assert found["leak", "runs"] == [f"{OUTER}: was trained and tested on speaker C; run it again."]


@pytest.mark.parametrize("content", ["{}", '{"student": '])
def test_a_damaged_student_file_is_not_passed_over(experiment, found_in, content):
    (experiment / OUTER / "student.json").write_text(content)
    found = found_in(experiment)
    assert not leaks(found) and "student.json is damaged" in found["not_proved", "runs"][0]


def test_a_student_that_was_trained_on_other_speakers_than_planned(experiment, found_in, plant):
    plant.json(experiment / INNER / "record.json", train_speakers=["C", "D"])  # C is the outer test
    found = found_in(experiment)
    assert leaks(found) == {"runs"} and "other speakers than planned (C)" in found["leak", "runs"][0]


def test_scores_of_a_training_speaker(experiment, found_in):
    change_scores(
        experiment / OUTER / "scores.csv", lambda scores: scores.replace({"ID": {"C8": "A0"}, "speaker": {"C": "A"}})
    )
    found = found_in(experiment)
    assert leaks(found) == {"scores", "report"}
    assert "that are not of its test, first A0 of speaker A" in found["leak", "scores"][0]


def test_scores_that_lack_an_utterance(experiment, found_in):
    change_scores(experiment / OUTER / "scores.csv", lambda scores: scores.iloc[1:])
    assert "lacks 1 of 4 test utterances: C8" in found_in(experiment)["leak", "scores"][0]


def test_scores_that_hold_an_utterance_twice(experiment, found_in):
    change_scores(experiment / OUTER / "scores.csv", lambda scores: pd.concat([scores, scores.iloc[:1]]))
    assert "comes twice in one seed" in found_in(experiment)["leak", "scores"][0]


def test_scores_with_another_truth_than_the_manifest(experiment, found_in):
    change_scores(experiment / OUTER / "scores.csv", lambda scores: scores.assign(truth="anger"))
    assert "says speaker C and anger of C9, and the manifest C and sadness" in found_in(experiment)["leak", "scores"][0]


def test_pieces_of_one_recording_across_a_split(experiment, found_in, plant):
    wav = next(row.wav for row in Manifest.read(experiment / "manifest.csv") if row.id == "A0")
    plant.manifest(experiment, lambda row: of("C8", row, wav=wav, start=16000, stop=32000))
    found = found_in(experiment, sound=False)
    assert "segments" in leaks(found)
    assert found["leak", "segments"][0].startswith("fold 1: C8 (training) and A0 (test) overlap in one recording")


def test_turns_of_two_speakers_in_one_recording_are_a_warning(experiment, found_in, plant):
    def change(row):
        if row.id == "A0":
            return replace(row, wav="/dialogue.wav", stop=16000)
        return of("C8", row, wav="/dialogue.wav", start=16000, stop=32000)

    plant.manifest(experiment, change)
    found = found_in(experiment, sound=False)
    assert leaks(found) == set() and "pieces of one recording" in found["warning", "segments"][0]


def test_names_that_differ_by_a_segment_are_a_warning(experiment, found_in, plant):
    names = {"A0": "call7_seg1", "C8": "call7_seg2", "C9": "03-01-01", "D12": "03-01-02"}
    plant.manifest(experiment, lambda row: replace(row, id=names.get(row.id, row.id)))
    warned = found_in(experiment, sound=False)["warning", "segments"]
    assert any("call7_seg" in line for line in warned) and not any("03-01" in line for line in warned)


@pytest.mark.parametrize(
    ("name", "utterance"),
    [
        ("call7_seg3", "call7"),
        ("call7-part02_aug1", "call7"),
        ("call7_0.00_3.25", "call7"),
        ("03-01-06-01-02-01-12", "03-01-06-01-02-01-12"),
        ("Ses01F_impro01_F000", "Ses01F_impro01_F000"),
        ("03a01Wa", "03a01Wa"),
        ("1001_DFA_ANG_XX", "1001_DFA_ANG_XX"),
    ],
)
def test_what_cutting_adds_to_a_name_is_told_from_the_name(name, utterance):
    assert SEGMENT.sub("", name) == utterance


def test_a_beginning_that_many_names_share_is_no_utterance(experiment, found_in, plant):
    plant.manifest(experiment, lambda row: replace(row, id=f"recording_part_{row.id[1:]}"))
    assert ("proved", "segments") in found_in(experiment, sound=False)


def test_one_speaker_in_two_spellings_is_not_proved_apart(experiment, found_in, plant):
    names = {"A": "Anna", "B": "Speaker 1-1", "C": "anna ", "D": "speaker 11"}
    plant.manifest(experiment, lambda row: replace(row, speaker=names[row.speaker]))
    plant.settings(experiment, outer_folds=[["Anna", "Speaker 1-1"], ["anna "], ["speaker 11"]])
    found = found_in(experiment, sound=False)
    (told,) = found["not_proved", "speakers"]
    assert ("proved", "speakers") not in found and "1 pair" in told and "'Anna' and 'anna '" in told


def test_speakers_that_nobody_knows_are_not_proved_apart(experiment, found_in, plant):
    plant.manifest(experiment, lambda row: replace(row, speaker=row.speaker.replace("C", "Unknown")))
    plant.settings(experiment, outer_folds=[["A", "B"], ["Unknown"], ["D"]])
    found = found_in(experiment, sound=False)
    assert ("proved", "speakers") not in found and "4 of 16 utterances" in found["not_proved", "speakers"][0]


def test_identical_sound_across_a_split(experiment, found_in, plant):
    plant.manifest(experiment, lambda row: of("C8", row, sha256="A0"))
    found = found_in(experiment, sound=False)
    assert leaks(found) == {"identical"} and "C8 (training) and A0 (test)" in found["leak", "identical"][0]


def test_identical_sound_of_one_speaker_is_a_note(experiment, found_in, plant):
    plant.manifest(experiment, lambda row: of("A1", row, sha256="A0"))
    found = found_in(experiment, sound=False)
    assert leaks(found) == set() and "A0 and A1" in found["warning", "identical"][0]


def test_a_noisy_trimmed_copy_across_a_split(experiment, found_in, plant, tmp_path):
    wav = next(row.wav for row in Manifest.read(experiment / "manifest.csv") if row.id == "A0")
    samples, _ = soundfile.read(wav, dtype="float32")
    copy = 0.3 * samples[800:-800] + 0.001 * np.random.default_rng(0).standard_normal(len(samples) - 1600)
    soundfile.write(tmp_path / "copy.wav", copy, 16000)
    changes = {"wav": str(tmp_path / "copy.wav"), "stop": len(copy), "sha256": "other"}
    plant.manifest(experiment, lambda row: of("C8", row, **changes))
    found = found_in(experiment)
    assert leaks(found) == {"near copies"}
    assert "fold 1: C8 (training) and A0 (test) are copies by their sound" in found["leak", "near copies"][0]


def test_a_copy_at_another_sampling_rate(experiment, found_in, plant, tmp_path):
    wav = next(row.wav for row in Manifest.read(experiment / "manifest.csv") if row.id == "A0")
    copy = resample_poly(soundfile.read(wav, dtype="float32")[0], 441, 160).clip(-1, 1)
    soundfile.write(tmp_path / "copy.wav", copy, 44100)
    changes = {"wav": str(tmp_path / "copy.wav"), "stop": len(copy), "sha256": "other"}
    plant.manifest(experiment, lambda row: of("C8", row, **changes))
    assert leaks(found_in(experiment)) == {"near copies"}


def test_recordings_too_short_to_compare_leave_it_open(experiment, found_in, plant, tmp_path):
    soundfile.write(tmp_path / "short.wav", 0.1 * np.random.default_rng(0).standard_normal(3200), 16000)
    changes = {"wav": str(tmp_path / "short.wav"), "stop": 3200, "sha256": "short"}
    plant.manifest(experiment, lambda row: of("C8", row, **changes))
    found = found_in(experiment)
    assert "1 of 16 recordings, first C8: below 0.5 s of speech" in found["not_proved", "near copies"][0]
    assert "(15 fingerprints compared)" in found["proved", "near copies"][0]


def test_recordings_that_cannot_be_read_leave_it_open(experiment, found_in, plant):
    plant.manifest(experiment, lambda row: replace(row, wav=f"/gone/{row.id}.wav", sha256=f"new {row.id}"))
    found = found_in(experiment)
    assert "16 of 16 recordings: /gone/" in found["not_proved", "near copies"][0]
    assert ("proved", "near copies") not in found


def test_shared_sentences_are_counted_in_a_warning(experiment, found_in, plant):
    plant.manifest(experiment, lambda row: replace(row, text="kids" if row.id in ("A0", "C8", "D12") else row.id))
    found = found_in(experiment, sound=False)
    assert leaks(found) == set()
    assert found["warning", "sentences"][0].startswith("1 of 14 sentences is said in training and in test (up to 25 %")


@pytest.mark.parametrize("run", [OUTER, INNER])
def test_a_head_that_was_fitted_on_a_test_speaker(experiment, found_in, plant, run):
    tested = {OUTER: "C", INNER: "A"}[run]
    plant.json(experiment / run / "record.json", heads={"loud": [{"trained_on": ["D", tested], "answers_for": []}]})
    found = found_in(experiment)
    assert (
        leaks(found) == {"heads"}
        and f"{run}: a head of teacher loud was fitted on test speaker {tested}" in (found["leak", "heads"][0])
    )


def test_an_inner_head_that_was_fitted_on_the_outer_test(experiment, found_in, plant):
    plant.json(experiment / INNER / "record.json", heads={"loud": [{"trained_on": ["C", "D"], "answers_for": []}]})
    assert "fitted on speaker C, outside the run's training" in found_in(experiment)["leak", "heads"][0]


def test_runs_without_heads_leave_it_open(experiment, found_in, plant):
    plant.json(experiment / OUTER / "record.json", heads={})
    assert OUTER in found_in(experiment)["not_proved", "heads"][0]


@pytest.mark.parametrize("heads", [[], [{"trained_on": [], "answers_for": []}]])
def test_heads_that_name_nobody_leave_it_open(experiment, found_in, plant, heads):
    plant.json(experiment / OUTER / "record.json", heads={"loud": heads})
    assert OUTER in found_in(experiment, sound=False)["not_proved", "heads"][0]


def test_a_head_that_speaks_for_whom_it_heard_is_a_warning(experiment, found_in, plant):
    plant.json(experiment / OUTER / "record.json", heads={"loud": [{"trained_on": ["A", "D"], "answers_for": ["A"]}]})
    found = found_in(experiment)
    assert leaks(found) == set() and ("warning", "heads") in found


def test_a_teacher_that_was_trained_on_the_corpus(experiment, found_in, plant):
    encoder = {"name": "transformers_encoder", "source": "superb/hubert-large-superb-er"}
    plant.settings(experiment, teachers={"er": encoder})
    assert leaks(found_in(experiment)) == set()
    plant.corpus(experiment, "IEMOCAP")
    found = found_in(experiment)
    assert leaks(found) == {"provenance"}
    assert "teacher er (superb/hubert-large-superb-er) was trained on IEMOCAP" in found["leak", "provenance"][0]


def test_a_student_that_begins_as_a_model_of_the_corpus(experiment, found_in, plant, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "README.md").write_text("---\ndatasets: [someone/ravdess]\n---\nWhisper, fine-tuned.")
    plant.settings(experiment, student={"name": "encoder_student", "source": "model"})
    plant.corpus(experiment, "RAVDESS")
    assert "the student's beginning (model) was trained on RAVDESS" in found_in(experiment)["leak", "provenance"][0]


def test_a_teacher_of_whom_nothing_is_known_leaves_it_open(experiment, found_in, plant):
    plant.settings(experiment, teachers={"w": {"name": "transformers_encoder", "source": "openai/whisper-base"}})
    assert "680 000 h" in found_in(experiment)["not_proved", "provenance"][0]


def unlabelled(experiment, plant, *rows):
    manifest = Manifest("Street", ("unlabelled",), tuple(rows))
    plant.settings(experiment, unlabelled_hash=manifest.hash)
    return manifest


def test_speech_without_labels_that_holds_the_test(experiment, found_in, plant):
    wav = next(row.wav for row in Manifest.read(experiment / "manifest.csv") if row.id == "C8")
    same = Utterance("s1", wav, 0, 32000, 2.0, "unlabelled", "unlabelled", sha256="C8")
    found = found_in(experiment, unlabelled=unlabelled(experiment, plant, same))
    assert leaks(found) == {"unlabelled"} and "s1 (unlabelled speech) and C8 (Toy)" in found["leak", "unlabelled"][0]
    near = replace(same, sha256="other")
    found = found_in(experiment, unlabelled=unlabelled(experiment, plant, near))
    assert "are copies by their sound" in found["leak", "unlabelled"][0]


def test_speech_without_labels_of_other_people(experiment, found_in, plant, tmp_path):
    samples = 0.1 * np.random.default_rng(99).standard_normal(32000)
    soundfile.write(tmp_path / "s1.wav", samples, 16000)
    other = Utterance("s1", str(tmp_path / "s1.wav"), 0, 32000, 2.0, "unlabelled", "unlabelled", sha256="s1")
    found = found_in(experiment, unlabelled=unlabelled(experiment, plant, other))
    assert found["proved", "unlabelled"] == [
        "none of 1 unlabelled recording has a copy in Toy (SHA-256).",
        "none of 1 unlabelled recording has a copy in Toy (fingerprints).",
    ]
    assert "Street does not say who speaks" in found["not_proved", "unlabelled"][0]
    gone = replace(other, wav="/gone.wav", sha256="gone")
    found = found_in(experiment, unlabelled=unlabelled(experiment, plant, gone))
    assert found["proved", "unlabelled"] == ["none of 1 unlabelled recording has a copy in Toy (SHA-256)."]
    assert "1 of 17 recordings: /gone.wav is not a file" in found["not_proved", "unlabelled"][0]


def test_speech_without_labels_of_the_corpus_itself_or_that_is_not_here(experiment, found_in, plant):
    own = Utterance("m1", "/m1.wav", 0, 16000, 1.0, "A", "unlabelled", sha256="m1")
    manifest = unlabelled(experiment, plant, own)
    assert "the corpus's own" in found_in(experiment, unlabelled=manifest)["proved", "unlabelled"][0]
    assert "give it with --unlabelled" in found_in(experiment)["not_proved", "unlabelled"][0]


def test_unlabelled_speech_in_a_store_beside_the_experiment_is_found(experiment, found_in, plant):
    own = Utterance("m1", "/m1.wav", 0, 16000, 1.0, "A", "unlabelled", sha256="m1")
    unlabelled(experiment, plant, own).write(experiment.parent / "store/street/manifest.csv")
    assert ("proved", "unlabelled") in found_in(experiment)


def test_a_refit_with_another_candidate_than_the_inner_folds_chose(experiment, found_in, plant):
    plant.json(experiment / OUTER / "record.json", candidate={"batch_size": 1})
    found = found_in(experiment)
    assert leaks(found) == {"choice"}
    told = "was trained with candidate 1, and the inner folds chose 2 (inner UA 50.0, 100.0)"
    assert told in found["leak", "choice"][0]


def test_a_choice_that_the_inner_scores_do_not_give(experiment, found_in, plant):
    plant.json(experiment / "seed1/fold2/choice.json", chosen=1)
    assert "choice.json names candidate 1, and the inner folds chose 2" in found_in(experiment)["leak", "choice"][0]


def test_a_candidate_that_was_edited_after_it_was_compared(experiment, found_in, plant):
    plant.settings(experiment, candidates=[{"batch_size": 8}, {"batch_size": 2}])  # the one that lost
    found = found_in(experiment, sound=False)
    assert leaks(found) == {"choice"} and ("proved", "choice") not in found
    assert "trained with another candidate than settings.yaml lists" in found["leak", "choice"][0]


def test_a_candidate_that_was_taken_out_after_it_was_compared(experiment, found_in, plant):
    plant.settings(experiment, candidates=[{"batch_size": 2}])  # the one that won
    found = found_in(experiment, sound=False)
    assert leaks(found) == {"choice"} and ("proved", "choice") not in found
    assert "not among the candidates of settings.yaml any more" in found["leak", "choice"][0]


def test_an_inner_score_that_was_changed_after_the_choice(experiment, found_in):
    def better(scores):
        row = scores.index[scores["truth"] == "sadness"][0]
        scores.loc[row, ["prediction", "p_anger", "p_sadness"]] = ["sadness", 0.1, 0.9]
        return scores

    change_scores(experiment / INNER / "scores.csv", better)
    found = found_in(experiment, sound=False)
    assert leaks(found) == {"choice"}
    assert "choice.json notes inner UA 50.0, 100.0, and the inner scores give 58.3, 100.0" in found["leak", "choice"][0]


def test_candidates_without_inner_runs(experiment, found_in):
    for folder in (experiment / "seed1/fold2").glob("inner*"):
        shutil.rmtree(folder)
    found = found_in(experiment)
    assert (
        leaks(found) == {"choice"} and "scored while 4 of its 4 inner runs are not done" in found["leak", "choice"][0]
    )


def test_inner_runs_that_were_scored_on_the_outer_test(experiment, found_in):
    shutil.copy(experiment / OUTER / "scores.csv", experiment / INNER / "scores.csv")
    found = found_in(experiment)
    assert leaks(found) == {"scores", "choice"} and "on outer test speaker C" in found["leak", "choice"][0]


@pytest.mark.parametrize("epochs", [[1], [1, 2, 3], [2, 2]])
def test_an_epoch_that_was_not_set_beforehand(experiment, found_in, epochs):
    pd.DataFrame({"epoch": epochs, "total": 0.0}).to_csv(experiment / OUTER / "metrics.csv", index=False)
    found = found_in(experiment)
    assert leaks(found) == {"epochs"} and "and 2 were set beforehand" in found["leak", "epochs"][0]


def test_epochs_may_be_a_candidate_and_a_head_may_be_fitted_first(experiment, found_in, plant):
    candidates = [{"number_of_epochs": 1}, {"number_of_epochs": 2, "head_decay": 0.1}]
    plant.settings(experiment, candidates=candidates)
    for run in Experiment.read(experiment).runs():
        index = run.candidate or 2
        epochs = [[1], [0, 1, 2]][index - 1]
        pd.DataFrame({"epoch": epochs}).to_csv(run.folder / "metrics.csv", index=False)
        plant.json(run.folder / "record.json", candidate=candidates[index - 1])
    assert leaks(found_in(experiment)) == set()


def test_a_report_that_leaves_out_a_finished_fold(experiment, found_in):
    change_scores(experiment / "scores.csv", lambda scores: scores[scores["fold"] != 2])
    found = found_in(experiment)
    assert leaks(found) == {"report"} and f"leaves out {OUTER}" in found["leak", "report"][0]


def test_a_report_of_other_scores_than_the_runs(experiment, found_in):
    def better(scores):
        scores.loc[scores["ID"] == "C8", ["p_anger", "p_sadness"]] = [0.9, 0.1]
        return scores

    change_scores(experiment / "scores.csv", better)
    assert f"the report's scores of {OUTER} are not those of the run" in found_in(experiment)["leak", "report"][0]


def test_an_unfinished_experiment_is_partial(experiment, found_in):
    (experiment / OUTER / "scores.csv").unlink()
    change_scores(experiment / "scores.csv", lambda scores: scores[scores["fold"] != 2])
    found = found_in(experiment)
    assert leaks(found) == set()
    assert found["warning", "report"] == [f"partial: 2 of 3 planned outer runs are done; not yet {OUTER}."]


def test_folds_that_were_not_asked_for_are_told(experiment, found_in, plant):
    plant.json(experiment / "plan.json", folds=[1, 3])
    shutil.rmtree(experiment / "seed1/fold2")
    change_scores(experiment / "scores.csv", lambda scores: scores[scores["fold"] != 2])
    warned = found_in(experiment, sound=False)["warning", "report"]
    assert warned == ["partial: 2 of 3 outer folds were asked for, so not every speaker is tested."]


def test_a_report_of_a_run_that_is_not_there(experiment, found_in):
    (experiment / OUTER / "scores.csv").unlink()
    assert "seed 1, fold 2, of which there is no finished run" in found_in(experiment)["leak", "report"][0]


def test_a_corpus_without_speakers_proves_none(experiment, found_in, plant):
    plant.settings(experiment, speaker_independent=False)
    found = found_in(experiment)
    assert next(iter(found)) == ("not_proved", "speakers") and ("proved", "speakers") not in found
    assert not {("proved", check) for check in ("speakers", "runs", "heads")} & set(found)


def test_scores_of_a_teacher_are_held_to_the_same_folds(experiment, found_in):
    folder = experiment / "teachers" / "loud"
    folder.mkdir(parents=True)
    shutil.copy(experiment / "scores.csv", folder)
    assert leaks(found_in(experiment)) == set()
    change_scores(folder / "scores.csv", lambda scores: scores[scores["ID"] != "C8"])
    assert "teacher loud, fold 2: scores.csv lacks 1 of 4" in found_in(experiment)["leak", "scores"][0]


def test_damaged_files_are_named_and_nothing_breaks(experiment, found_in):
    (experiment / OUTER / "record.json").write_text("{")
    (experiment / OUTER / "metrics.csv").unlink()
    (experiment / "seed1/fold3/choice.json").write_text("[]")
    (experiment / "fingerprints.npz").write_text("torn")
    found = found_in(experiment)
    assert leaks(found) == {"choice"} and "missing or damaged" in found["leak", "choice"][0]
    assert {("not_proved", check) for check in ("runs", "heads", "epochs")} <= set(found)
