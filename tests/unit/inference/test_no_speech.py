"""Silence is not an emotion, and what surrounds an utterance does not change its emotion."""

import numpy as np
import pytest
import soundfile
import torch

from akd_toolkit.data.audio import read_audio
from akd_toolkit.inference import EmotionRecognizer
from akd_toolkit.inference.engine import Engine

MINUTE = 60 * 16000


def loudness(windows):
    """The more of the window is louder than -50 dB, the more it is ``loud``."""
    levels = 10 * np.log10(windows[0][: len(windows[0]) // 320 * 320].reshape(-1, 320).var(axis=1) + 1e-12)
    share = float(np.mean(levels > -50))
    return np.array([[1 - share, share]], np.float32)


@pytest.fixture
def recognizer():
    return EmotionRecognizer(Engine("none", ("soft", "loud"), window_s=3.0, overlap_s=1.5, answer=loudness))


@pytest.mark.parametrize("seconds", [0.1, 1.0, 3.0, 60.0])
@pytest.mark.parametrize("amplitude", [0, 1])
def test_silence_and_dither_are_no_speech(recognizer, seconds, amplitude):
    sound = np.random.default_rng(0).integers(-amplitude, amplitude + 1, round(16000 * seconds)).astype(np.int16)
    answer = recognizer(sound)
    assert (answer.label, answer.probabilities, answer.probability, answer.speech) == ("no speech", {}, None, False)
    assert answer.speech_s == 0 and answer.duration_s == seconds and answer.activity == "silero"
    assert [(span.label, span.speech, span.start_s, span.end_s) for span in answer.timeline] == [
        ("no speech", False, 0.0, seconds)
    ]


def test_opposite_phase_stereo_is_speech(recognizer, talk, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([talk, -talk], axis=1), 16000)
    answer = recognizer(tmp_path / "a.wav")
    assert answer.label == "loud" and answer.speech_s > 0.8 * answer.duration_s


def test_speechbrain_s_calls_mark_the_row_without_speech(recognizer, talk):
    voice = torch.from_numpy(talk[:32000]).float()
    out_prob, score, index, text_lab = recognizer.classify_batch(torch.stack([torch.zeros(32000), voice]))
    assert out_prob[0].tolist() == [0, 0] and (score[0], index[0], text_lab[0]) == (0, -1, "no speech")
    assert out_prob[1].sum().item() == pytest.approx(1) and (index[1], text_lab[1]) == (1, "loud")


@pytest.mark.parametrize("background", [0.0, 1 / 2**15, 1e-3])
def test_an_utterance_in_a_minute_of_nothing_has_its_own_emotion(recognizer, shared_folder, background):
    noise = background * np.random.default_rng(0).uniform(-1, 1, MINUTE)
    files = sorted((shared_folder / "data/EmoDB/wav").glob("*.flac"))[::90]
    assert len(files) == 6
    for file in files:
        speech = read_audio(file)
        alone = recognizer(speech)
        assert alone.label == "loud"
        for place in (0, MINUTE // 3, MINUTE - len(speech)):
            sound = noise.copy()
            sound[place : place + len(speech)] += speech
            within = recognizer(sound.clip(-1, 1), timeline=False)
            assert within.label == "loud" and within.probability == pytest.approx(alone.probability, abs=0.1)
            assert within.speech_s == pytest.approx(alone.speech_s, abs=0.3)


def test_usual_recordings_are_answered_whole(shared_folder):
    calls = []

    def answer(windows):
        calls.append(windows.shape[1])
        return np.array([[0.25, 0.75]], np.float32)

    recognizer = EmotionRecognizer(Engine("none", ("calm", "joy"), window_s=30.0, overlap_s=0.0, answer=answer))
    files = [*sorted((shared_folder / "data/EmoDB/wav").glob("*.flac"))[::30]]
    files += sorted((shared_folder / "data/RAVDESS").glob("Actor_*/*.flac"))[::80]
    assert len(files) == 36
    assert all(recognizer(file, timeline=False).speech for file in files)
    assert calls == [len(read_audio(file)) for file in files]


def test_the_answer_with_a_timeline_is_that_without(recognizer, talk):
    sound = np.concatenate([np.zeros(100000), talk[:70000], np.zeros(70000), talk[70000:]]).astype(np.float32)
    told, plain = recognizer(sound), recognizer(sound, timeline=False)
    assert told.probabilities == plain.probabilities and told.speech_s == plain.speech_s
    assert [span.speech for span in told.timeline] == [False, True, False, True]
