"""Answers on other people's speech come from heads of the training speakers alone."""

import numpy as np
import pytest
import torch
from in_memory import InMemoryAudio

from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.teachers import TeacherBank, answers_on


def corpus(name, speakers, emotions, shift=1.0):
    rows, sounds = [], {}
    for speaker in speakers:
        for emotion in emotions:
            for number in range(3):
                row = Utterance(
                    f"{name}-{speaker}{emotion}{number}",
                    "-",
                    0,
                    4000,
                    0.25,
                    speaker,
                    emotion,
                    sha256=f"{name}{speaker}{emotion}{number}",
                )
                rows.append(row)
                rate = (0.05 if emotion in ("low", "x") else 0.4) * shift
                rng = np.random.default_rng(len(rows))
                sounds[row.id] = (np.sin(np.arange(4000) * rate) / 2 + 0.01 * rng.standard_normal(4000)).astype(
                    np.float32
                )
    labels = ("low", "high") if "low" in emotions else ("unlabelled",)
    if labels == ("unlabelled",):
        rows = [Utterance(**{**vars(row), "emotion": "unlabelled"}) for row in rows]
    return Manifest(name, labels, tuple(rows)), sounds


@pytest.fixture
def banks(tmp_path):
    specs = {"bands": {"name": "logmel_statistics", "num_mels": 8}}
    made = []
    for sounds in (corpus("toy", "ABC", ("low", "high")), corpus("other", "XY", ("x", "y"), shift=1.2)):
        made.append(TeacherBank(specs, InMemoryAudio(*sounds), tmp_path, progress=False))
    return made


def test_the_heads_that_answer_have_heard_the_training_speakers_alone(banks):
    fold = banks[0].fold(["A", "B"], [["A"], ["B"], ["C"]])
    answers = answers_on(banks[1], fold, banks[1].manifest)
    assert {target.heads[own].heard for target in answers for own in target.head_of} == {("A", "B")}


def test_other_peoples_speech_is_told_apart_by_its_own_statistics(banks):
    fold = banks[0].fold(["A", "B"], [["A"], ["B"], ["C"]])
    answers = answers_on(banks[1], fold, banks[1].manifest)
    ids = banks[1].manifest.ids
    says = answers.lookup(ids).logits[0].argmax(dim=-1)
    expected = torch.tensor([0 if "x" in name.split("-")[1] else 1 for name in ids])
    assert (says == expected).float().mean() > 0.9


def test_one_head_speaks_for_all_while_the_cross_fitted_ones_judge(banks):
    groups = [["A"], ["B"], ["C"]]
    crossed = banks[0].fold(["A", "B"], groups)
    shared = banks[0].fold(["A", "B"], groups, one_head=True)
    ids = banks[0].manifest.ids
    both, one = crossed.lookup(ids), shared.lookup(ids)
    torch.testing.assert_close(both.logits, one.logits)  # gates judge the same
    assert both.targets is None
    heard = torch.tensor([row.speaker in "AB" for row in banks[0].manifest])
    assert not torch.allclose(one.targets[:, heard], one.logits[:, heard])
    torch.testing.assert_close(one.targets[:, ~heard], one.logits[:, ~heard])  # nobody has heard the test speaker


def test_mixtures_of_a_training_speaker_are_answered_by_a_head_that_has_not_heard_it(banks):
    fold = banks[0].fold(["A", "B"], [["A"], ["B"], ["C"]])
    own = banks[0].manifest.of(["A", "B"])  # the corpus's own speech stands for its mixtures
    answers = answers_on(banks[0], fold, own)
    for target in answers:
        assert all(row.speaker not in target.heads[index].heard for row, index in zip(own, target.head_of))
        assert {target.heads[index].heard for index in target.head_of} == {("A",), ("B",)}


def test_what_is_not_heard_has_no_part_in_the_answers(tmp_path):
    specs = {"bands": {"name": "logmel_statistics", "num_mels": 8}}
    manifest, sounds = corpus("toy", "ABC", ("low", "high"))
    answers = []
    for louder in (1.0, 3.0):  # the test speaker's speech changes, and nothing else
        changed = {name: wave * (louder if "-C" in name else 1.0) for name, wave in sounds.items()}
        bank = TeacherBank(specs, InMemoryAudio(manifest, changed), tmp_path / str(louder), progress=False)
        fold = bank.fold(["A", "B"], [["A"], ["B"], ["C"]])
        heard = manifest.of(["A", "B"])
        answers.append(answers_on(bank, fold, heard).lookup(heard.ids).logits)
    torch.testing.assert_close(*answers)
