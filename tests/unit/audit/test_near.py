"""Copies are found through what a channel does to sound; different recordings of one sentence are not copies."""

import io

import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly

from akd_toolkit.audit.near import FRAMES, code_of, similar_pairs


def noisy(samples, snr_db):
    noise = np.random.default_rng(0).standard_normal(len(samples)) * np.sqrt((samples**2).mean())
    return samples + 10 ** (-snr_db / 20) * noise


def coded(samples, kind="MP3", subtype="MPEG_LAYER_III"):
    memory = io.BytesIO()
    soundfile.write(memory, samples, 16000, format=kind, subtype=subtype)
    memory.seek(0)
    return soundfile.read(memory, dtype="float32")[0]


CHANNELS = {
    "gain": lambda samples: 0.1 * samples,
    "noise at 20 dB": lambda samples: noisy(samples, 20),
    "8 kHz and back": lambda samples: resample_poly(resample_poly(samples, 1, 2), 2, 1),
    "44.1 kHz and back": lambda samples: resample_poly(resample_poly(samples, 441, 160), 160, 441),
    "MP3": coded,
    "OGG": lambda samples: coded(samples, "OGG", "VORBIS"),
    "50 ms less at the start": lambda samples: samples[800:],
    "50 ms less at both ends": lambda samples: samples[800:-800],
    "0.3 s of silence before": lambda samples: np.pad(samples, (4800, 0)),
    "several at once": lambda samples: noisy(coded(0.3 * samples), 25)[400:-400],
}


@pytest.fixture
def recordings(shared_folder):
    """60 of EmoDB, ten speakers and two sentences, and 48 of RAVDESS, all actors and one sentence each."""
    emodb = sorted((shared_folder / "data/EmoDB/wav").glob("*a0[25]*.flac"))[::2]
    ravdess = sorted((shared_folder / "data/RAVDESS").glob("Actor_*/03-01-0[56]-01-01-01-*.flac"))
    assert len(emodb) == 61 and len(ravdess) == 48
    return {path.stem: soundfile.read(path, dtype="float32")[0] for path in (*emodb, *ravdess)}


def test_copies_are_found_and_ten_speakers_of_one_sentence_are_not_copies(recordings):
    names = list(recordings)
    codes = [code_of(samples) for samples in recordings.values()]
    assert similar_pairs(codes, progress=False) == []  # no false alarm among 5886 pairs
    for name in names[::18]:
        for channel, through in CHANNELS.items():
            copy = code_of(np.asarray(through(recordings[name]), dtype=np.float32))
            others = [(i, j) for i, j, _ in similar_pairs([*codes, copy], progress=False)]
            assert others == [(names.index(name), len(codes))], (name, channel)


def random_code(seed):
    random = np.random.default_rng(seed)
    return (2 * random.integers(0, 2, (FRAMES, 32)) - 1) * (random.random(FRAMES) < 0.7)[:, None]


def test_pairs_of_many_blocks_are_those_of_one_by_one():
    codes = [random_code(seed) for seed in range(600)]
    codes[590] = codes[3]
    assert similar_pairs(codes, progress=False) == [(3, 590, 1.0)]


def test_silence_and_very_short_sounds_match_nothing():
    silence, click = code_of(np.zeros(16000, np.float32)), code_of(np.eye(1, 1600, dtype=np.float32)[0])
    assert similar_pairs([silence, silence, click, click], progress=False) == []
