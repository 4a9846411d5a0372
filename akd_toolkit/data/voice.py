"""A small source-filter voice: a glottal pulse train and breath, shaped by formants that move from vowel to vowel.

Source: Fant 1960 (source and filter); Klatt & Klatt 1990 (pulse shape, cascade of resonators, vowel targets).
"""

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter, sosfilt

from akd_toolkit.data.audio import SAMPLE_RATE_HZ

FRAME = 80  # samples between two updates of the formants: 5 ms
VOWELS = {  # first four formants of a male voice, Hz
    "a": (730.0, 1190.0, 2440.0, 3400.0),
    "e": (480.0, 1850.0, 2500.0, 3450.0),
    "i": (290.0, 2250.0, 2950.0, 3550.0),
    "o": (500.0, 900.0, 2450.0, 3350.0),
    "u": (310.0, 850.0, 2300.0, 3300.0),
    "@": (500.0, 1450.0, 2450.0, 3400.0),
}
BANDWIDTHS_HZ = np.array([70.0, 90.0, 140.0, 220.0])
CONSONANTS = ("nasal", "fricative", "stop", "none")
REFERENCE_RMS = 0.03  # of a voice at level_db = 0


@dataclass(frozen=True)
class Syllable:
    """A consonant and a vowel; ``stress`` in [0, 1] lengthens it and lifts its pitch."""

    consonant: str
    vowel: str
    stress: float


@dataclass(frozen=True)
class VoiceSettings:
    """How one utterance is spoken.

    Arguments
    ---------
    pitch_hz
        Mean fundamental frequency, Hz.
    range_st
        Depth of pitch accents, semitones.
    slope_st
        Fall of pitch from the first syllable to the last, semitones; negative rises.
    level_db
        Relative to a normal voice, dB.
    tempo
        Syllables per second, relative to a normal voice.
    tilt
        Damping of high frequencies at the source, in [0, 1): 0 is pressed, 0.9 is soft.
    open_quotient
        Share of a cycle with open glottis, in (0, 1): small is creaky, large is lax.
    breath
        Level of breath noise relative to the pulses, >= 0.
    jitter, shimmer
        Relative deviation of length and of strength from cycle to cycle.
    formant_scale
        1 for a male vocal tract, about 1.17 for a female one.
    """

    pitch_hz: float = 120.0
    range_st: float = 3.0
    slope_st: float = 3.0
    level_db: float = 0.0
    tempo: float = 1.0
    tilt: float = 0.6
    open_quotient: float = 0.6
    breath: float = 0.05
    jitter: float = 0.01
    shimmer: float = 0.05
    formant_scale: float = 1.0


def random_sentence(random: np.random.Generator) -> tuple[Syllable, ...]:
    """Six to eight syllables."""
    return tuple(
        Syllable(str(random.choice(CONSONANTS)), str(random.choice(list(VOWELS))), float(random.uniform()))
        for _ in range(random.integers(6, 9))
    )


def speak(sentence: tuple[Syllable, ...], settings: VoiceSettings, random: np.random.Generator) -> np.ndarray:
    """Speak a sentence: float32 [samples] at 16 kHz, in (-1, 1).

    Example
    -------
    >>> random = np.random.default_rng(0)
    >>> two = (Syllable("none", "a", stress=0.5), Syllable("nasal", "i", stress=0.5))
    >>> speak(two, VoiceSettings(tempo=2.0), random).shape  # 2 x 0.2 s / 2
    (3200,)
    """
    voiced, friction, stress, place, formants = _plan(sentence, settings)
    pitch_hz = _pitch_contour(stress, place, settings, random)
    pulses, open_phase = _glottis(pitch_hz, settings, random)
    breath = random.standard_normal(len(pulses)) * (0.3 + 0.7 * open_phase)
    source = _to_samples(voiced) * (pulses + settings.breath * breath)
    mouth = _vocal_tract(source, formants * settings.formant_scale)
    hiss = lfilter([1.0, -0.9], [1.0, 0.3], random.standard_normal(len(mouth)))
    sound = mouth / _rms(mouth) + 0.25 * _to_samples(friction) * hiss / _rms(hiss)
    sound *= REFERENCE_RMS * 10 ** (settings.level_db / 20) / _rms(sound)
    return np.tanh(sound).astype(np.float32)  # bends the rare peak instead of cutting it


def _plan(sentence, settings):
    """Per frame: voicing, friction and stress [T], place in the sentence [T], formants [T, 4]."""
    columns = []
    for index, syllable in enumerate(sentence):
        length_s = 0.2 / settings.tempo * (0.75 + 0.5 * syllable.stress)
        num_frames = max(4, round(length_s * SAMPLE_RATE_HZ / FRAME))
        time = (np.arange(num_frames) + 0.5) / num_frames
        onset = np.clip((time - 0.3) / 0.1, 0.0, 1.0) * np.clip((1.0 - time) / 0.2, 0.2, 1.0)
        closed = time < 0.3
        hum = {"nasal": 0.25, "none": 0.6}.get(syllable.consonant, 0.0)
        voiced = np.where(closed, hum, onset) * (0.7 + 0.3 * syllable.stress)
        noisy = {"fricative": time < 0.3, "stop": (time > 0.2) & (time < 0.3)}.get(syllable.consonant, closed & False)
        target = np.tile(VOWELS[syllable.vowel], (num_frames, 1))
        columns.append((voiced, noisy * 1.0, np.full(num_frames, syllable.stress), target, time + index))
    voiced, friction, stress, formants, place = (np.concatenate(parts) for parts in zip(*columns))
    # Articulators take about 40 ms to arrive: neighbouring vowels colour each other.
    formants = np.stack([_smooth(column, 9) for column in formants.T], axis=1)
    return _smooth(voiced, 3), _smooth(friction, 3), _smooth(stress, 15), place / len(sentence), formants


def _pitch_contour(stress, place, settings, random):
    wander = _smooth(random.standard_normal(len(stress)), 25) * 2.0
    semitones = settings.range_st * (2.0 * (stress - stress.mean()) + 0.5 * wander)
    semitones -= settings.slope_st * (place - 0.5)
    return np.clip(settings.pitch_hz * 2 ** (semitones / 12), 50.0, 600.0)


def _glottis(pitch_hz, settings, random):
    """Derivative of the flow, pulse(u) = 2u - 3u^2 while the glottis is open, and how open it is: [samples] each."""
    step = _to_samples(pitch_hz) / SAMPLE_RATE_HZ
    cycle = np.cumsum(step).astype(int)
    step *= 1.0 + settings.jitter * random.standard_normal(cycle[-1] + 1)[cycle]
    phase = np.cumsum(step)
    cycle = phase.astype(int)
    strength = 1.0 + settings.shimmer * random.standard_normal(cycle[-1] + 1)[cycle]
    open_time = (phase - cycle) / settings.open_quotient
    is_open = open_time < 1.0
    pulses = np.where(is_open, 2.0 * open_time - 3.0 * open_time**2, 0.0) * strength
    pulses = lfilter([1.0 - settings.tilt], [1.0, -settings.tilt], pulses)
    return pulses / _rms(pulses), is_open * np.sin(np.pi * np.minimum(open_time, 1.0))


def _vocal_tract(source, formants):
    """Cascade of second-order resonators, updated every frame with its state kept."""
    radius = np.exp(-np.pi * BANDWIDTHS_HZ / SAMPLE_RATE_HZ)
    a1 = -2.0 * radius * np.cos(2.0 * np.pi * formants / SAMPLE_RATE_HZ)
    a2 = np.broadcast_to(radius**2, a1.shape)
    zero, one = np.zeros_like(a1), np.ones_like(a1)
    sections = np.stack([1.0 + a1 + a2, zero, zero, one, a1, a2], axis=-1)  # gain 1 at 0 Hz
    state = np.zeros((formants.shape[1], 2))
    blocks = []
    for frame, section in enumerate(sections):
        block, state = sosfilt(section, source[frame * FRAME : (frame + 1) * FRAME], zi=state)
        blocks.append(block)
    return np.concatenate(blocks)


def _to_samples(frames):
    at = (np.arange(len(frames) * FRAME) + 0.5) / FRAME - 0.5
    return np.interp(at, np.arange(len(frames)), frames)


def _smooth(values, width):
    padded = np.pad(values, width // 2, mode="edge")
    return np.convolve(padded, np.full(width, 1.0 / width), mode="valid")


def _rms(values):
    return np.sqrt(np.mean(np.square(values))) + 1e-9
