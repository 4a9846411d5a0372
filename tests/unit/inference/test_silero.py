"""A voice is found and noise is not taken for it; only files of the package are needed."""

import logging
import subprocess
import sys

import numpy as np
import pytest
from scipy.signal import lfilter, resample_poly

from akd_toolkit.data.audio import read_audio
from akd_toolkit.inference import activity, silero
from akd_toolkit.inference.activity import open_activity
from akd_toolkit.inference.silero import SileroActivity

COUNT = 64000  # samples
SECONDS = np.arange(COUNT) / 16000
NOISES = {
    "digital zeros": np.zeros(COUNT),
    "dither": np.random.default_rng(0).integers(-1, 2, COUNT) / 2**15,
    "constant": np.full(COUNT, 0.5),
    "white": np.random.default_rng(1).normal(0, 0.1, COUNT),
    "brown": lfilter([0.02], [1, -0.999], np.random.default_rng(2).normal(0, 0.2, COUNT)),
    "click": np.where(np.arange(COUNT) == 30000, 0.9, 0.0),
    "hum 50 Hz": 0.3 * np.sin(2 * np.pi * 50 * SECONDS),
    "hum 60 Hz, overtones": sum(0.3 * np.sin(2 * np.pi * 60 * k * SECONDS) / k for k in range(1, 9)),
    "tone": 0.3 * np.sin(2 * np.pi * 440 * SECONDS),
}


@pytest.mark.parametrize("name", NOISES)
def test_noise_is_no_speech(name):
    assert not SileroActivity().push(NOISES[name].astype(np.float32)).any()


def test_a_voice_is_found_within_silence(talk):
    gap = np.zeros(16000)
    active = SileroActivity().push(np.concatenate([gap, talk[:64000], gap]).astype(np.float32))
    assert active[34:154].mean() > 0.9 and not active[:30].any() and not active[-20:].any()


@pytest.mark.parametrize("rate", [8000, 44100])
def test_another_rate_gives_the_same_frames(talk, rate):
    sound = np.concatenate([np.zeros(16000), talk[:48000], np.zeros(16000)])
    whole = SileroActivity().push(sound.astype(np.float32))
    found = SileroActivity(rate).push(resample_poly(sound, rate, 16000).astype(np.float32))
    assert (found == whole[: len(found)]).mean() > 0.95 and len(whole) - len(found) <= 1


@pytest.mark.parametrize("seed", range(3))
def test_the_answer_does_not_depend_on_the_chunks(talk, seed):
    sound = np.concatenate([talk[:50000], np.zeros(20000), talk[50000:90000]]).astype(np.float32)
    whole = SileroActivity().push(sound)
    random = np.random.default_rng(seed)
    cuts = np.cumsum(random.integers(0, 10 ** random.integers(1, 5), len(sound)))
    pieces = SileroActivity()
    parts = [pieces.push(part) for part in np.split(sound, cuts[cuts < len(sound)])]
    assert np.concatenate(parts).tolist() == whole.tolist() and len(whole) == len(sound) // 512
    pieces.reset()
    assert pieces.push(sound).tolist() == whole.tolist()


def test_quiet_and_shouted_speech_is_found(shared_folder):
    folder = shared_folder / "data/RAVDESS"
    files = [file for actor in ("06", "09", "20") for file in sorted((folder / f"Actor_{actor}").glob("*.flac"))[::6]]
    assert len(files) == 30
    found = sum(SileroActivity().push(read_audio(file)).any() for file in files)
    assert found >= 29  # one of the 1440 is not: actor 06, fearful


@pytest.fixture
def without_package(monkeypatch):
    """The package silero-vad is not installed."""
    find_spec = silero.importlib.util.find_spec
    monkeypatch.setattr(
        silero.importlib.util, "find_spec", lambda name: None if name == "silero_vad" else find_spec(name)
    )
    caches = (silero._session, activity._available)
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()


def test_without_the_package_energy_takes_its_place_and_the_log_says_so_once(without_package, caplog):
    with caplog.at_level(logging.WARNING):
        assert [open_activity("auto").name for _ in range(3)] == ["energy"] * 3
    assert len(caplog.records) == 1 and "silero-vad" in caplog.text
    with pytest.raises(ImportError, match="pip install 'silero-vad"):
        open_activity("silero")


def test_a_name_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="auto, silero, energy, off"):
        open_activity("webrtc")


def test_pytorch_is_not_imported():
    command = "import sys; from akd_toolkit.inference.silero import SileroActivity; SileroActivity()"
    done = [sys.executable, "-c", f"{command}; print('torch' in sys.modules, 'scipy' in sys.modules)"]
    assert subprocess.run(done, capture_output=True, text=True, check=True).stdout == "False False\n"
