"""One student, asked in every way, gives one answer."""

import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from akd_toolkit.data.audio import read_audio
from akd_toolkit.deploy.export import export_onnx
from akd_toolkit.experiment.scores_file import read_scores
from akd_toolkit.inference import EmotionRecognizer, Recognition
from akd_toolkit.inference.engine import Engine, open_engine
from akd_toolkit.inference.timeline import timeline
from akd_toolkit.models.base import Student
from akd_toolkit.outputs import ModelOutput

LABELS = ["anger", "boredom", "sadness", "neutral"]  # of the student in conftest.py
RUN = Path(__file__).parents[3] / "recipes/EmoDB/results/ablation/only-logit-mse/seed17/fold1/outer"


@pytest.fixture(scope="module")
def recognizer(student_folder):
    return EmotionRecognizer.from_hparams(source=student_folder)


def expected(folder, path):
    """Probabilities by evaluation's own rule, from the file read as training reads it."""
    return open_engine(folder).posterior(read_audio(path))


@pytest.mark.parametrize("seconds, rate", [(0.1, 16000), (0.99, 16000), (1.0, 16000), (1.1, 44100), (5.3, 8000)])
def test_probabilities_are_those_of_the_evaluation(student_folder, speech, seconds, rate):
    path = speech(seconds, rate)
    found = EmotionRecognizer.from_hparams(student_folder, activity="off" if seconds < 0.5 else "silero")(path)
    wanted = expected(student_folder, path)
    np.testing.assert_array_equal(list(found.probabilities.values()), wanted)
    assert list(found.probabilities) == LABELS and found.label == LABELS[wanted.argmax()]
    assert found.probability == max(found.probabilities.values())
    assert found.duration_s == pytest.approx(seconds) and sum(found.probabilities.values()) == pytest.approx(1)


def test_every_way_to_give_a_sound_gives_one_answer(recognizer, speech):
    path = speech()
    samples, _ = soundfile.read(path, dtype="int16")
    with path.open("rb") as file:
        ways = [path, str(path), path.read_bytes(), file, samples, torch.from_numpy(samples / np.float32(32768))]
        first, *others = recognizer(ways)
    assert all(other == first for other in others) and len(others) == 5
    assert recognizer([]) == []


def test_the_rate_of_an_array_is_heard(recognizer, speech):
    path = speech(rate=48000)
    samples, rate = soundfile.read(path, dtype="int16")
    assert recognizer(samples, sample_rate_hz=rate) == recognizer(path)
    assert recognizer(samples).duration_s == pytest.approx(3 * 1.9)


def test_the_timeline_is_that_of_the_stream(recognizer, speech):
    path = speech(6.0)
    stream = recognizer.stream()
    moments = stream.push(read_audio(path)) + stream.finish()
    found = recognizer(path)
    assert len(found.timeline) >= 1 and list(found.timeline) == timeline(moments)
    assert 0 <= found.timeline[0].start_s < found.timeline[-1].end_s <= found.duration_s
    without = recognizer(path, timeline=False)
    assert without.timeline == () and without.probabilities == found.probabilities


def test_options_of_the_stream_are_handed_on(student_folder, speech):
    half = EmotionRecognizer.from_hparams(student_folder, stream_options={"hop_s": 0.5})
    assert len(half.stream().push(read_audio(speech(2.0)))) == 4
    assert len(half.stream(hop_s=0.25).push(read_audio(speech(2.0)))) == 8
    with pytest.raises(ValueError, match=r"hop_s must be from 0\.1 s to the window of 1\.0 s, got 7"):
        EmotionRecognizer.from_hparams(student_folder, stream_options={"hop_s": 7})


def test_an_option_that_there_is_not_is_refused_with_those_that_there_are(recognizer, student_folder):
    with pytest.raises(ValueError, match="stream has no option 'hop', did you mean 'hop_s'. There are hop_s, smooth"):
        recognizer.stream(hop=0.5)
    with pytest.raises(ValueError, match="stream has no option 'seconds'; there are hop_s"):
        EmotionRecognizer(recognizer.engine, stream_options={"seconds": 1})
    with pytest.raises(ValueError, match="from_hparams has no option 'thread', did you mean 'threads'. There are rev"):
        EmotionRecognizer.from_hparams(student_folder, thread=1)


def test_run_opts_of_speechbrain_may_ask_for_the_cpu(student_folder):
    for run_opts in (None, {}, {"device": "cpu"}, {"device": torch.device("cpu")}):
        assert EmotionRecognizer.from_hparams(source=student_folder, run_opts=run_opts).label_order == tuple(LABELS)
    for run_opts in ({"device": "cuda:0"}, {"precision": "fp16"}):
        with pytest.raises(ValueError, match=r"run_opts may say \{'device': 'cpu'\}, .* got \{"):
            EmotionRecognizer.from_hparams(source=student_folder, run_opts=run_opts)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"source": None}, "source must be the folder of a finished run .*, got None"),
        ({"source": ""}, "source must be .* got ''"),
        ({"threads": 0}, "threads must be a whole number from 1, got 0"),
        ({"threads": "two"}, "threads must be .* got 'two'"),
    ],
)
def test_a_source_or_threads_that_cannot_be_are_refused(student_folder, options, message):
    with pytest.raises(ValueError, match=message):
        EmotionRecognizer.from_hparams(**{"source": student_folder, **options})


def test_an_experiment_s_folder_is_answered_with_one_of_its_runs(tmp_path):
    for seed, fold, names in ((17, 1, ["student.json"]), (17, 2, ["student.json", "scores.csv"]), (18, 1, [])):
        run = tmp_path / f"akd/seed{seed}/fold{fold}/outer"
        run.mkdir(parents=True)
        for name in names:
            (run / name).touch()
    for folder in ("akd", "akd/seed17", "akd/seed17/fold2", "."):  # the last as of an ablation
        with pytest.raises(ValueError, match="holds several runs; choose one of them, such as .*/seed17/fold2/outer"):
            EmotionRecognizer.from_pretrained(tmp_path / folder)
    with pytest.raises(ValueError, match="seed18 holds 1 runs, and none of them is finished"):
        EmotionRecognizer.from_pretrained(tmp_path / "akd/seed18")


def test_an_answer_becomes_json(recognizer, speech):
    told = json.loads(json.dumps(recognizer(speech(6.0)).as_dict()))
    assert set(told) == {"label", "probabilities", "duration_s", "speech", "speech_s", "activity", "timeline"}
    assert list(told["timeline"][0]) == ["start_s", "end_s", "label", "probability", "speech"]


def test_an_answer_cannot_be_changed():
    with pytest.raises(AttributeError):
        Recognition("calm", {"calm": 1.0}, 1.0, 0.9, "silero").label = "anger"


def test_speechbrain_s_calls_answer_as_its_interfaces_do(recognizer, student_folder, speech):
    path = speech(2.6)
    out_prob, score, index, text_lab = recognizer.classify_file(path)
    wanted = expected(student_folder, path)
    np.testing.assert_allclose(out_prob.numpy(), wanted[None], atol=1e-7)
    assert out_prob.shape == (1, 4) and score.shape == index.shape == (1,)
    assert index.item() == wanted.argmax() and text_lab == [LABELS[wanted.argmax()]]
    assert score.item() == out_prob.max().item()
    by_hand = recognizer.classify_batch(recognizer.load_audio(path).unsqueeze(0))
    torch.testing.assert_close(by_hand[0], out_prob, rtol=0, atol=0)


def test_in_a_padded_batch_each_utterance_is_answered_as_alone(recognizer, speech):
    alone = [recognizer.load_audio(speech(seconds, seed=n)) for n, seconds in enumerate((0.3, 1.7, 2.5))]
    longest = max(map(len, alone))
    wavs = torch.stack([torch.nn.functional.pad(wav, (0, longest - len(wav)), value=0.5) for wav in alone])
    shares = torch.tensor([len(wav) / longest for wav in alone])
    out_prob, score, index, text_lab = recognizer.classify_batch(wavs, shares)
    for row, wav in enumerate(alone):
        single = recognizer.classify_batch(wav)  # [samples] is a batch of one
        torch.testing.assert_close(out_prob[row], single[0][0], rtol=0, atol=0)
        assert (score[row], index[row], text_lab[row]) == (single[1][0], single[2][0], single[3][0])


@pytest.mark.parametrize(
    "wavs, wav_lens, message",
    [
        (torch.zeros(2, 3200, 1), None, r"wavs must be \[batch, samples\] .* got \[2, 3200, 1\]"),
        (torch.tensor(0.5), None, r"got \[\] and \[\]"),
        (torch.zeros(0, 3200), None, r"got \[0, 3200\]"),
        (torch.ones(2, 3200), torch.ones(3), r"wav_lens \[batch\], got \[2, 3200\] and \[3\]"),
        (torch.ones(2, 3200), torch.tensor([1.0, 1.5]), r"shares of the samples in \(0, 1\], got \[1\.0, 1\.5\]"),
        (torch.ones(2, 3200), torch.tensor([1.0, float("nan")]), r"shares of the samples"),
        (torch.ones(2, 3200), torch.tensor([1.0, 0.1]), r"wavs\[1\] holds 320 samples"),
        (torch.tensor([[0.1] * 3200, [float("nan")] * 3200]), None, r"wavs\[1\] holds NaN"),
    ],
)
def test_a_batch_that_cannot_be_answered_is_refused(recognizer, wavs, wav_lens, message):
    with pytest.raises(ValueError, match=message):
        recognizer.classify_batch(wavs, wav_lens)


def test_of_a_list_the_sound_that_cannot_be_answered_is_named(recognizer, speech, tmp_path):
    with pytest.raises(ValueError, match="sound 2 of the list holds NaN"):
        recognizer([speech(), np.full(4000, np.nan)])
    with pytest.raises(FileNotFoundError, match=r"gone\.wav is not a file"):
        recognizer([speech(), tmp_path / "gone.wav"])


class Level(Student):
    """Louder is angrier: a student small enough to export in seconds and to compute by hand."""

    def forward(self, waveform, lengths=None):
        level = waveform.abs().mean(dim=1, keepdim=True)
        if lengths is not None:  # in the padding is silence
            level = level / lengths[:, None]
        return ModelOutput(torch.cat([level, -level], dim=1), embedding=level)


def test_an_exported_file_is_asked_through_onnx_runtime(tmp_path):
    file = tmp_path / "student.onnx"
    export_onnx(Level(2), file, ("angry", "calm"), window_s=1.0, about={"test_overlap_s": 0.25})
    recognizer = EmotionRecognizer.from_pretrained(file, activity="off")
    assert (recognizer.engine.backend, recognizer.engine.overlap_s) == ("onnx", 0.25)
    # Windows from 0, 0.75 and 1 s hear mean levels of 1/4, 7/16 and 1/2; p(angry) = 1 / (1 + exp(-2 level))
    samples = np.repeat(np.float32([0.25, 0.5]), 16000)
    angry = np.mean([1 / (1 + np.exp(-2 * level)) for level in (0.25, 7 / 16, 0.5)])
    answer = recognizer(samples)
    assert answer.label == "angry" and answer.probability == pytest.approx(angry, abs=1e-6)


def test_an_onnx_file_that_is_not_there_is_not_asked_of_the_hub():
    with pytest.raises(FileNotFoundError, match=r"models/typo\.onnx does not exist; give"):
        EmotionRecognizer.from_pretrained("models/typo.onnx")


def test_importing_is_quick_for_sound_that_needs_no_resampling():
    names = "[name for name in ('torch', 'scipy.signal', 'onnxruntime') if name in sys.modules]"
    command = [sys.executable, "-c", f"import sys, akd_toolkit.inference; print({names})"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_source_that_is_nowhere_is_named():
    with pytest.raises(FileNotFoundError, match="/no/such/folder does not exist; give the folder of a run"):
        EmotionRecognizer.from_hparams(source="/no/such/folder")


def test_a_student_that_answers_no_numbers_is_not_believed():
    broken = Engine("none", ("calm", "angry"), 3.0, 0.0, answer=lambda x: np.full((1, 2), np.nan))
    with pytest.raises(ValueError, match="the student answers .* with no numbers"):
        EmotionRecognizer(broken, activity="off")(np.full(4000, 0.5), timeline=False)


def test_half_an_hour_takes_no_more_memory_than_a_minute(tmp_path, talk):
    quick = Engine("none", ("calm", "angry"), 3.0, 0.5, answer=lambda x: np.array([[0.25, 0.75]]))
    ten_seconds = np.concatenate([talk[:80000], np.zeros(80000)])
    peaks = []
    for minutes in (1, 30):
        with soundfile.SoundFile(tmp_path / "long.wav", "w", 16000, 1) as file:
            for _ in range(6 * minutes):
                file.write(ten_seconds)
        tracemalloc.start()
        answer = EmotionRecognizer(quick)(tmp_path / "long.wav")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert answer.duration_s == 60 * minutes and answer.probability == 0.75
    assert peaks[1] < 1.5 * peaks[0], peaks


def test_who_is_told_how_far_it_is_can_stop_it(recognizer):
    told = []
    recognizer(np.full(25 * 8000, 0.5), sample_rate_hz=8000, progress=told.append)
    assert told == [10.0, 20.0, 25.0, 25.0]  # blocks of 10 s, and what the resampler still held

    def stop(seconds):
        raise InterruptedError(f"after {seconds} s")

    with pytest.raises(InterruptedError, match=r"after 10\.0 s"):
        recognizer(np.full(25 * 8000, 0.5), sample_rate_hz=8000, progress=stop)


def test_labels_of_a_run_are_those_that_its_evaluation_stored(shared_folder):
    if not (RUN / "scores.csv").is_file():
        pytest.skip("needs the finished run recipes/EmoDB/results/ablation/only-logit-mse/seed17/fold1")
    recognizer = EmotionRecognizer.from_hparams(source=RUN, backend="torch")
    scores = read_scores(RUN / "scores.csv", recognizer.label_order).iloc[::4]
    assert len(scores) > 20
    files = [shared_folder / f"data/EmoDB/wav/{name}.flac" for name in scores["ID"]]
    answers = recognizer(files, timeline=False)
    assert [answer.label for answer in answers] == scores["prediction"].tolist()
    stored = scores[[f"p_{label}" for label in recognizer.label_order]].to_numpy()
    np.testing.assert_allclose([list(answer.probabilities.values()) for answer in answers], stored, atol=1e-4)
