"""One student gives one result, whatever the form of the sound."""

import json
import tracemalloc

import numpy as np
import pytest
import soundfile
import torch
from programs import run_python

from akd_toolkit.data.audio import read_audio
from akd_toolkit.deploy.export import export_onnx
from akd_toolkit.inference import EmotionRecognizer
from akd_toolkit.inference.engine import Engine, open_engine
from akd_toolkit.inference.results import timeline
from akd_toolkit.models.base import Student
from akd_toolkit.outputs import ModelOutput

LABELS = ["anger", "boredom", "sadness", "neutral"]  # of the student in conftest.py
MINUTE = 60 * 16000


def loudness(windows):
    """``loud`` is the share of 20 ms frames above -50 dB."""
    levels = 10 * np.log10(windows[0][: len(windows[0]) // 320 * 320].reshape(-1, 320).var(axis=1) + 1e-12)
    share = float(np.mean(levels > -50))
    return np.array([[1 - share, share]], np.float32)


@pytest.fixture(scope="module")
def recognizer(student_folder):
    return EmotionRecognizer.from_hparams(source=student_folder)


@pytest.fixture
def loudness_recognizer():
    return EmotionRecognizer(Engine("none", ("soft", "loud"), window_s=3.0, overlap_s=1.5, predict=loudness))


@pytest.mark.parametrize("seconds, rate", [(0.1, 16000), (1.1, 44100), (5.3, 8000)])
def test_probabilities_are_those_of_the_evaluation(student_folder, speech, seconds, rate):
    path = speech(seconds, rate)
    found = EmotionRecognizer.from_hparams(student_folder, activity="off" if seconds < 0.5 else "silero")(path)
    expected = open_engine(student_folder).posterior(read_audio(path))
    np.testing.assert_array_equal(list(found.probabilities.values()), expected)
    assert list(found.probabilities) == LABELS and found.label == LABELS[expected.argmax()]
    assert found.probability == max(found.probabilities.values())
    assert found.duration_s == pytest.approx(seconds) and sum(found.probabilities.values()) == pytest.approx(1)


def test_every_form_of_a_sound_gives_the_same_result(recognizer, speech):
    path = speech()
    samples, _ = soundfile.read(path, dtype="int16")
    with path.open("rb") as file:
        forms = [path, str(path), path.read_bytes(), file, samples, torch.from_numpy(samples / np.float32(32768))]
        first, *others = recognizer(forms)
    assert all(other == first for other in others) and len(others) == 5 and recognizer([]) == []
    path = speech(rate=48000)
    samples, rate = soundfile.read(path, dtype="int16")
    assert recognizer(samples, sample_rate_hz=rate) == recognizer(path)


def test_the_timeline_is_that_of_the_stream(recognizer, speech):
    path = speech(6.0)
    stream = recognizer.stream()
    moments = stream.push(read_audio(path)) + stream.finish()
    found = recognizer(path)
    assert len(found.timeline) >= 1 and list(found.timeline) == timeline(moments)
    without = recognizer(path, timeline=False)
    assert without.timeline == () and without.probabilities == found.probabilities
    plain = json.loads(json.dumps(found.as_dict()))
    assert set(plain) == {"label", "probabilities", "duration_s", "speech", "speech_s", "activity", "timeline"}
    assert list(plain["timeline"][0]) == ["start_s", "end_s", "label", "probability", "speech"]


def test_options_reach_the_stream_and_wrong_ones_are_refused(recognizer, student_folder, speech):
    half = EmotionRecognizer.from_hparams(student_folder, stream_options={"hop_s": 0.5})
    assert len(half.stream().push(read_audio(speech(2.0)))) == 4
    assert len(half.stream(hop_s=0.25).push(read_audio(speech(2.0)))) == 8
    for call, key in (
        (lambda: EmotionRecognizer.from_hparams(student_folder, stream_options={"hop_s": 7}), "hop_s"),
        (lambda: recognizer.stream(hop=0.5), "'hop', did you mean 'hop_s'"),
        (lambda: EmotionRecognizer(recognizer.engine, stream_options={"seconds": 1}), "seconds"),
        (lambda: EmotionRecognizer.from_hparams(student_folder, thread=1), "'thread', did you mean 'threads'"),
        (lambda: EmotionRecognizer.from_hparams(student_folder, threads=0), "threads"),
        (lambda: EmotionRecognizer.from_hparams(student_folder, run_opts={"device": "cuda:0"}), "run_opts"),
    ):
        with pytest.raises(ValueError, match=key):
            call()
    with pytest.raises(FileNotFoundError, match="nowhere"):
        EmotionRecognizer.from_hparams("nowhere")
    cpu = EmotionRecognizer.from_hparams(student_folder, run_opts={"device": torch.device("cpu")})
    assert cpu.label_order == tuple(LABELS)


def test_for_an_experiment_the_error_names_a_finished_run(tmp_path):
    for seed, fold, names in ((17, 1, ["student.json"]), (17, 2, ["student.json", "scores.csv"]), (18, 1, [])):
        run = tmp_path / f"akd/seed{seed}/fold{fold}/outer"
        run.mkdir(parents=True)
        for name in names:
            (run / name).touch()
    for folder in ("akd", "akd/seed17", "akd/seed17/fold2", "."):  # the last as of an ablation
        with pytest.raises(ValueError, match="seed17/fold2/outer"):
            EmotionRecognizer.from_pretrained(tmp_path / folder)
    with pytest.raises(ValueError, match="seed18 .*none of them is finished"):
        EmotionRecognizer.from_pretrained(tmp_path / "akd/seed18")
    for source in ("models/typo.onnx", "/no/such/folder"):
        with pytest.raises(FileNotFoundError, match=source):
            EmotionRecognizer.from_pretrained(source)


def test_speechbrain_s_calls_return_what_its_interfaces_return(recognizer, student_folder, speech):
    path = speech(2.6)
    out_prob, score, index, text_lab = recognizer.classify_file(path)
    expected = open_engine(student_folder).posterior(read_audio(path))
    np.testing.assert_allclose(out_prob.numpy(), expected[None], atol=1e-7)
    assert out_prob.shape == (1, 4) and score.shape == index.shape == (1,)
    assert index.item() == expected.argmax() and text_lab == [LABELS[expected.argmax()]]
    assert score.item() == out_prob.max().item()
    torch.testing.assert_close(
        recognizer.classify_batch(recognizer.load_audio(path)[None])[0], out_prob, rtol=0, atol=0
    )


def test_in_a_padded_batch_each_utterance_has_the_result_that_it_has_alone(recognizer, speech):
    alone = [recognizer.load_audio(speech(seconds, seed=n)) for n, seconds in enumerate((0.3, 1.7, 2.5))]
    longest = max(map(len, alone))
    wavs = torch.stack([torch.nn.functional.pad(wav, (0, longest - len(wav)), value=0.5) for wav in alone])
    together = recognizer.classify_batch(wavs, torch.tensor([len(wav) / longest for wav in alone]))
    for row, wav in enumerate(alone):
        single = recognizer.classify_batch(wav)  # [samples] is a batch of one
        torch.testing.assert_close(together[0][row], single[0][0], rtol=0, atol=0)
        assert [part[row] for part in together[1:]] == [part[0] for part in single[1:]]


@pytest.mark.parametrize(
    "wavs, wav_lens, key",
    [
        (torch.zeros(2, 3200, 1), None, r"\[2, 3200, 1\]"),
        (torch.ones(2, 3200), torch.ones(3), r"wav_lens .*\[3\]"),
        (torch.ones(2, 3200), torch.tensor([1.0, 1.5]), r"wav_lens .*1\.5"),
        (torch.ones(2, 3200), torch.tensor([1.0, 0.1]), r"wavs\[1\]"),
        (torch.tensor([[0.1] * 3200, [float("nan")] * 3200]), None, r"wavs\[1\]"),
    ],
)
def test_a_wrong_batch_is_refused(recognizer, wavs, wav_lens, key):
    with pytest.raises(ValueError, match=key):
        recognizer.classify_batch(wavs, wav_lens)


def test_a_wrong_sound_of_a_list_is_named(recognizer, speech, tmp_path):
    with pytest.raises(ValueError, match="sound 2 of the list"):
        recognizer([speech(), np.full(4000, np.nan)])
    with pytest.raises(FileNotFoundError, match=r"gone\.wav"):
        recognizer([speech(), tmp_path / "gone.wav"])


class Level(Student):
    """Louder is angrier: a student small enough to compute by hand."""

    def forward(self, waveform, lengths=None):
        level = waveform.abs().mean(dim=1, keepdim=True)
        if lengths is not None:  # in the padding is silence
            level = level / lengths[:, None]
        return ModelOutput(torch.cat([level, -level], dim=1), embedding=level)


def test_an_exported_file_is_run_by_onnx_runtime_without_pytorch(tmp_path):
    file = tmp_path / "student.onnx"
    export_onnx(Level(2), file, ("angry", "calm"), window_s=1.0, about={"test_overlap_s": 0.25})
    recognizer = EmotionRecognizer.from_pretrained(file, activity="off")
    assert (recognizer.engine.backend, recognizer.engine.overlap_s) == ("onnx", 0.25)
    # Windows from 0, 0.75 and 1 s have mean levels of 1/4, 7/16 and 1/2; p(angry) = 1 / (1 + exp(-2 level))
    samples = np.repeat(np.float32([0.25, 0.5]), 16000)
    angry = np.mean([1 / (1 + np.exp(-2 * level)) for level in (0.25, 7 / 16, 0.5)])
    result = recognizer(samples)
    assert result.label == "angry" and result.probability == pytest.approx(angry, abs=1e-6)
    soundfile.write(tmp_path / "a.wav", samples, 16000)
    code = (
        "import sys; from akd_toolkit.inference import EmotionRecognizer; "
        "print([name for name in ('torch', 'scipy.signal', 'onnxruntime') if name in sys.modules]); "
        "print(EmotionRecognizer.from_pretrained('student.onnx')('a.wav').duration_s, 'torch' in sys.modules)"
    )
    assert run_python("-c", code, cwd=tmp_path).stdout == "[]\n2.0 False\n"


def test_ten_minutes_take_no_more_memory_than_one(tmp_path, talk):
    quick = Engine("none", ("calm", "angry"), 3.0, 0.5, predict=lambda x: np.array([[0.25, 0.75]]))
    ten_seconds = np.concatenate([talk[:80000], np.zeros(80000)])
    peaks = []
    for minutes in (1, 10):
        with soundfile.SoundFile(tmp_path / "long.wav", "w", 16000, 1) as file:
            for _ in range(6 * minutes):
                file.write(ten_seconds)
        tracemalloc.start()
        result = EmotionRecognizer(quick)(tmp_path / "long.wav")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert result.duration_s == 60 * minutes and result.probability == 0.75
    assert peaks[1] < 1.5 * peaks[0], peaks


@pytest.mark.parametrize("seconds", [0.1, 60.0])
@pytest.mark.parametrize("amplitude", [0, 1])
def test_silence_and_dither_are_not_speech(loudness_recognizer, seconds, amplitude):
    sound = np.random.default_rng(0).integers(-amplitude, amplitude + 1, round(16000 * seconds)).astype(np.int16)
    result = loudness_recognizer(sound)
    assert (result.label, result.probabilities, result.probability, result.speech) == ("no speech", {}, None, False)
    assert result.speech_s == 0 and result.duration_s == seconds and result.activity == "silero"
    (span,) = result.timeline
    assert (span.label, span.speech, span.start_s, span.end_s) == ("no speech", False, 0.0, seconds)


@pytest.mark.parametrize("background", [0.0, 1e-3])
def test_an_utterance_in_a_minute_of_silence_keeps_its_emotion(loudness_recognizer, shared_folder, background):
    noise = background * np.random.default_rng(0).uniform(-1, 1, MINUTE)
    files = sorted((shared_folder / "data/EmoDB/wav").glob("*.flac"))[::90]
    assert len(files) == 6
    for file in files:
        speech = read_audio(file)
        alone = loudness_recognizer(speech)
        for place in (0, MINUTE // 3, MINUTE - len(speech)):
            sound = noise.copy()
            sound[place : place + len(speech)] += speech
            within = loudness_recognizer(sound.clip(-1, 1), timeline=False)
            assert within.label == alone.label == "loud"
            assert within.probability == pytest.approx(alone.probability, abs=0.1)
            assert within.speech_s == pytest.approx(alone.speech_s, abs=0.3)
