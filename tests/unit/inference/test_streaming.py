"""The results of a stream follow its definition and do not depend on the size of the pieces."""

import math
import tracemalloc

import numpy as np
import pytest
import torch

from akd_toolkit.data.voice import VoiceSettings, random_sentence, speak
from akd_toolkit.inference.activity import EnergyActivity
from akd_toolkit.inference.engine import Engine, engine_of
from akd_toolkit.inference.results import Moment, Span, timeline
from akd_toolkit.inference.streaming import SmoothedDecision, StreamingRecognizer
from akd_toolkit.registry import STUDENTS

LABELS = ("anger", "joy", "sadness", "neutral")
WINDOW_S = 2.0


@pytest.fixture(scope="module")
def engine():
    """A small untrained student."""
    torch.manual_seed(0)
    student = STUDENTS.example("micro_cnn", num_classes=len(LABELS))
    return engine_of(student, {"label_order": LABELS, "window_s": WINDOW_S})


@pytest.fixture(scope="module")
def talk():
    """About 20 s: voices, some without a pause between, in faint noise; of a length that no hop divides."""
    random = np.random.default_rng(1)
    parts = []
    for pause_s in (0.5, 2.0, 0, 0, 0, 0, 0, 1.5, 0, 0, 0):
        settings = VoiceSettings(pitch_hz=random.uniform(90, 250), level_db=6.0)
        parts += [speak(random_sentence(random), settings, random), np.zeros(round(16000 * pause_s))]
    sound = np.concatenate([*parts, np.zeros(1007)])
    return (sound + random.standard_normal(len(sound)) * 1e-4).astype(np.float32)


def level_engine():
    """The probability of joy is the mean of the window."""

    def predict(windows):
        joy = float(np.clip(windows.mean(), 0, 1))
        return np.array([[1 - joy, joy]], np.float32)

    return Engine("none", ("calm", "joy"), window_s=3.0, overlap_s=0.0, predict=predict)


class Loud:
    """Voice activity for tests: one frame a push, active where any sample is above 0."""

    def push(self, samples):
        return np.array([samples.max() > 0])

    def reset(self):
        pass


def all_moments(recognizer, chunks):
    return [moment for chunk in chunks for moment in recognizer.push(chunk)] + recognizer.finish()


@pytest.mark.parametrize("hop_s", [0.5, 1.0, 0.33])
def test_moments_do_not_depend_on_the_pieces(engine, talk, hop_s):
    recognizer = StreamingRecognizer(engine, hop_s=hop_s, min_s=0.5)
    whole = all_moments(recognizer, [talk])
    assert {moment.speaking for moment in whole} == {True, False} and len({m.label for m in whole}) > 1
    for largest in (37, 5000, 48000):
        random = np.random.default_rng(largest)
        cuts = np.cumsum(random.integers(0, largest, len(talk)))
        assert all_moments(recognizer, np.split(talk, cuts[cuts < len(talk)])) == whole
    singles = all_moments(recognizer, talk[: 3 * 16000].reshape(-1, 1))
    assert singles == whole[: len(singles) - 1] + singles[-1:] and len(singles) >= 3


def test_moments_follow_the_definition(engine, talk):
    """The definition as plain loops over the whole sound."""
    hop, window, least, margin = 8000, 32000, 16000, 0.001
    active = EnergyActivity().push(talk)
    smoothed = decision = onset = rival = None
    silence, led = 0, 0
    expected = []
    for k in range(len(talk) // hop):
        start, end = k * hop, (k + 1) * hop
        speaking = active[start // 320 : end // 320].mean() >= 0.25
        silence = 0 if speaking else silence + hop
        if speaking and onset is None:
            onset = start
        if silence >= 16000:
            onset = None
        if not speaking or end - onset < least:
            expected.append((end / 16000, speaking, None, None))
            continue
        p = engine(talk[None, max(onset, end - window) : end])[0].astype(float)
        if end - onset <= window:
            smoothed, decision, led = p, int(p.argmax()), 0
        else:
            smoothed = smoothed + (1 - math.exp(-0.5 / 0.5)) * (p - smoothed)
            best = int(smoothed.argmax())
            leads = smoothed[best] > smoothed[decision] + margin
            led = (led + 1 if best == rival else 1) if leads else 0
            rival = best
            if led == 2:
                decision, led = best, 0
        expected.append((end / 16000, speaking, LABELS[decision], tuple(smoothed)))
    got = StreamingRecognizer(engine, hop_s=0.5, margin=margin).push(talk)
    got = [(m.time_s, m.speaking, m.label, m.smoothed and tuple(m.smoothed.values())) for m in got]
    assert got == expected and sum(row[2] is not None for row in got) > 20


def test_finish_processes_the_rest_and_starts_a_new_stream():
    recognizer = StreamingRecognizer(level_engine(), activity="energy")
    tone = np.sin(np.arange(24000)).astype(np.float32)
    for _ in range(2):
        assert [m.time_s for m in recognizer.push(tone)] == [1.0]
        (last,) = recognizer.finish()
        assert (last.start_s, last.time_s, last.speaking) == (1.0, 1.5, True) and last.label is not None
    recognizer.push(tone[: 16000 + 319])  # the rest has no whole frame
    assert recognizer.finish() == recognizer.finish() == recognizer.push(tone[:0]) == []


def test_memory_does_not_grow():
    recognizer = StreamingRecognizer(level_engine(), hop_s=3.0, activity=Loud())
    minute = np.full(60 * 16000, 0.25, np.float32)
    tracemalloc.start()
    taken = []
    for _ in range(60):
        recognizer.push(minute)
        taken.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    # A second of sound takes 64 000 bytes, the moments of 50 minutes half a million.
    assert abs(taken[-1] - taken[9]) < 20000 and recognizer.push(minute)[-1].time_s == 61 * 60


@pytest.mark.parametrize(
    "samples, key",
    [
        (np.zeros(16000, np.int64), r"int64.*astype\(np\.int16\)"),
        (np.zeros((2, 16000), np.float32), r"\[2, 16000\]"),
        (["a"], "str|<U1"),
        (np.full(16000, 1e300), "inf between 0 and 1 s"),
    ],
)
def test_wrong_samples_are_refused(samples, key):
    recognizer = StreamingRecognizer(level_engine())
    with pytest.raises(ValueError, match=key):
        recognizer.push(samples)
    recognizer.reset()
    assert recognizer.push(np.zeros(16000))[0].label is None


@pytest.mark.parametrize("bad", [np.nan, 3000.0])
@pytest.mark.parametrize("largest", [700, 40000])
def test_a_wrong_hop_raises_and_counts_as_silence(engine, talk, bad, largest):
    recognizer = StreamingRecognizer(engine, hop_s=0.5, min_s=0.5)
    damaged, silenced = talk.copy(), talk.copy()
    for hop in (0, 9, 10, 21):  # the first, two in a row, and one amid speech
        damaged[8000 * hop + 77 * hop] = bad
        silenced[8000 * hop : 8000 * (hop + 1)] = 0.0
    random = np.random.default_rng(largest)
    cuts = np.cumsum(random.integers(0, largest, len(talk)))
    moments, refused = [], []
    for chunk in np.split(damaged, cuts[cuts < len(talk)]):
        try:
            moments += recognizer.push(chunk)
        except ValueError as error:
            refused.append(str(error))
    moments += recognizer.finish()
    assert moments == all_moments(recognizer, [silenced]) and sum(m.label is not None for m in moments) > 10
    assert 1 <= len(refused) <= 4 and "between 0 and 0.5 s" in refused[0]


OUTSIDE = (("hop_s", 0.05), ("hop_s", math.nan), ("min_s", 4), ("pause_s", 0), ("smoothing_s", -1), ("margin", 1.0))


@pytest.mark.parametrize(("name", "value"), [*OUTSIDE, ("hold_s", -1)])
def test_options_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        StreamingRecognizer(level_engine(), **{name: value})


def moments(*words):
    """A moment for each second from "joy 0.8" (label and probability), "?" (no label yet) or "-" (silence)."""
    made = []
    for second, word in enumerate(words):
        label, _, probability = word.partition(" ")
        smoothed = {label: float(probability)} if probability else None
        made.append(Moment(second, second + 1, word != "-", label if probability else None, smoothed, smoothed))
    return made


@pytest.mark.parametrize(
    "words, spans",
    [
        ([], []),
        (["?", "?", "-"], [(2.0, 3.0)]),
        (["joy 0.5", "joy 1.0", "joy 0.75"], [(0.0, 3.0, "joy", 0.75)]),
        (["joy 0.5", "joy 1.0", "fear 0.5"], [(0.0, 2.0, "joy", 0.75), (2.0, 3.0, "fear", 0.5)]),
        (["-", "?", "?", "joy 0.5", "-", "?"], [(0.0, 1.0), (1.0, 4.0, "joy", 0.5), (4.0, 5.0)]),
        (["?", "-", "joy 0.5", "fear 0.25"], [(1.0, 2.0), (2.0, 3.0, "joy", 0.5), (3.0, 4.0, "fear", 0.25)]),
    ],
)
def test_moments_become_spans(words, spans):
    silence = ("no speech", None, False)
    assert timeline(moments(*words)) == [Span(*span, *silence) if len(span) == 2 else Span(*span) for span in spans]
    assert all((moment.probability is None) == (moment.label is None) for moment in moments(*words))


def test_an_interrupted_hop_is_not_repeated():
    calls = []

    def predict(windows):
        calls.append(windows.shape[1])
        if len(calls) == 1:
            raise KeyboardInterrupt
        return np.array([[0.25, 0.75]], np.float32)

    recognizer = StreamingRecognizer(Engine("none", ("calm", "joy"), 3.0, 0.0, predict), activity=Loud())
    second = np.full(16000, 0.5, np.float32)
    with pytest.raises(KeyboardInterrupt):
        recognizer.push(second)
    assert [(m.start_s, m.label) for m in recognizer.push(second)] == [(1.0, "joy")] and calls == [16000, 32000]


def decided(posteriors, **options):
    decision = SmoothedDecision(**{"smoothing_s": 0.0, "margin": 0.1, "hold_s": 1.0, **options})
    return [decision.update(np.array(posterior), 0.5)[1] for posterior in posteriors]


def test_a_lead_must_exceed_the_margin_and_last():
    narrow, wide, other = [0.46, 0.54, 0], [0.4, 0.6, 0], [0.3, 0.1, 0.6]
    start = [0.6, 0.4, 0]
    assert decided([start, narrow, narrow, narrow]) == [0, 0, 0, 0]
    assert decided([start, wide, wide, wide]) == [0, 0, 1, 1]
    assert decided([start, wide, narrow, wide, wide]) == [0, 0, 0, 0, 1]
    assert decided([start, wide, other, wide, other, other]) == [0, 0, 0, 0, 0, 2]
    assert decided([start, wide], hold_s=0.0) == [0, 1]
    assert decided([start, narrow], hold_s=0.0, margin=0.0) == [0, 1]
