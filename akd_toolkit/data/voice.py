"""Generated voices: a glottal pulse train and breath, shaped by moving formants, and how emotions change them.

Source: Fant 1960 (source and filter); Klatt & Klatt 1990 (pulse shape, cascade of resonators, vowel targets); of the
directions of emotions Banse & Scherer 1996, Juslin & Laukka 2003, tables 7 and 11, Scherer 2003. Their sizes are ours.
"""

from dataclasses import dataclass
from typing import NamedTuple

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


class Syllable(NamedTuple):
    """A consonant and a vowel; ``stress`` in [0, 1] lengthens it and lifts its pitch."""

    consonant: str
    vowel: str
    stress: float


@dataclass(frozen=True)
class VoiceSettings:
    """How one utterance is spoken."""

    pitch_hz: float = 120.0  # mean fundamental frequency
    range_st: float = 3.0  # depth of pitch accents, semitones
    slope_st: float = 3.0  # fall of pitch from the first syllable to the last, semitones; negative rises
    level_db: float = 0.0  # relative to a normal voice
    tempo: float = 1.0  # syllables per second, relative to a normal voice
    tilt: float = 0.6  # damping of high frequencies at the source, in [0, 1): 0 is pressed, 0.9 is soft
    open_quotient: float = 0.6  # share of a cycle with open glottis, in (0, 1): small is creaky, large is lax
    breath: float = 0.05  # level of breath noise relative to the pulses, >= 0
    jitter: float = 0.01  # relative deviation of the length from cycle to cycle
    shimmer: float = 0.05  # the same of the strength
    formant_scale: float = 1.0  # 1 for a male vocal tract, about 1.17 for a female one


def random_sentence(random: np.random.Generator) -> tuple[Syllable, ...]:
    """Six to eight syllables."""
    return tuple(
        Syllable(str(random.choice(CONSONANTS)), str(random.choice(list(VOWELS))), float(random.uniform()))
        for _ in range(random.integers(6, 9))
    )


def speak(sentence: tuple[Syllable, ...], settings: VoiceSettings, random: np.random.Generator) -> np.ndarray:
    """Speak a sentence: float32 [samples] at 16 kHz, in (-1, 1)."""
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


class Acting(NamedTuple):
    """What an emotion adds to a neutral voice; all zeros is neutral."""

    pitch_st: float = 0.0  # mean pitch, semitones
    range: float = 0.0  # depth of pitch accents, natural logarithm of a factor
    slope_st: float = 0.0  # fall of pitch over the sentence, semitones
    level_db: float = 0.0
    tempo: float = 0.0  # syllables per second, natural logarithm of a factor
    tension: float = 0.0  # voice quality: +1 pressed and bright, -1 soft and breathy
    roughness: float = 0.0  # irregularity from cycle to cycle; 1 is clearly audible

    def plus(self, other: "Acting", share: float = 1.0) -> "Acting":
        """Both at once, ``other`` with the weight ``share``."""
        return Acting(*(own + share * more for own, more in zip(self, other)))


ACTINGS = {
    "anger": Acting(3.5, 0.40, 0.0, 6.0, 0.10, 0.9, 0.5),
    "boredom": Acting(-1.5, -0.70, 0.5, -2.0, -0.25, -0.2, 0.0),
    "disgust": Acting(-1.0, 0.10, 1.0, 0.5, -0.15, 0.4, 1.2),
    "fear": Acting(5.5, -0.20, -2.0, 1.0, 0.22, 0.1, 0.8),
    "happiness": Acting(4.0, 0.60, -1.5, 3.5, 0.06, 0.3, 0.0),
    "sadness": Acting(-1.5, -0.50, 1.5, -5.0, -0.22, -0.8, 0.3),
    "neutral": Acting(),
}

# Standard deviations. Together they are as large as the emotions themselves, so that unseen speakers are hard.
HABIT = Acting(0.6, 0.12, 0.5, 0.8, 0.04, 0.12, 0.15)  # how a speaker acts one emotion
MOMENT = Acting(0.8, 0.18, 0.8, 1.2, 0.05, 0.15, 0.2)  # from utterance to utterance


@dataclass(frozen=True)
class Speaker:
    """A generated speaker: a neutral voice, how strongly it acts, and its habits for each emotion."""

    name: str
    sex: str
    voice: VoiceSettings
    expressivity: float
    habits: dict[str, Acting]
    noise_db: float  # of the room, dB relative to full scale

    def acting(self, emotion: str, random: np.random.Generator) -> Acting:
        """What emotion adds in one utterance; the first thing that ``settings`` draws."""
        return self.habits[emotion].plus(ACTINGS[emotion], self.expressivity).plus(_draw(MOMENT, random))

    def settings(self, emotion: str, random: np.random.Generator) -> VoiceSettings:
        """The voice of one utterance in ``emotion``."""
        acting, voice = self.acting(emotion, random), self.voice
        roughness = max(0.0, acting.roughness)
        return VoiceSettings(
            pitch_hz=voice.pitch_hz * 2 ** (acting.pitch_st / 12),
            range_st=voice.range_st * np.exp(acting.range),
            slope_st=voice.slope_st + acting.slope_st,
            level_db=voice.level_db + acting.level_db,
            tempo=voice.tempo * np.exp(acting.tempo),
            tilt=float(np.clip(voice.tilt - 0.22 * acting.tension, 0.1, 0.95)),
            open_quotient=float(np.clip(voice.open_quotient - 0.15 * acting.tension, 0.3, 0.9)),
            breath=voice.breath * np.exp(-0.9 * acting.tension),
            jitter=voice.jitter + 0.015 * roughness,
            shimmer=voice.shimmer + 0.06 * roughness,
            formant_scale=voice.formant_scale,
        )


def attributes_of(acting: Acting) -> dict[str, float]:
    """Valence, arousal and dominance of an acted voice, from 1 to 5; neutral is 3.

    Arousal is high, loud and fast; dominance is pressed and loud, beyond what arousal adds; valence is lively and
    rising, neither rough nor pressed. Source of the directions: Scherer 2003; Goudbeek & Scherer 2010. The sizes are
    ours.

    Example
    -------
    >>> attributes_of(ACTINGS["anger"])
    {'valence': 2.38, 'arousal': 4.54, 'dominance': 4.08}
    """
    valence = 0.8 * acting.range - 0.3 * acting.slope_st - 0.8 * acting.roughness - 0.6 * acting.tension
    arousal = 0.2 * acting.pitch_st + 0.1 * acting.level_db + 2.4 * acting.tempo
    dominance = acting.tension + 0.1 * acting.level_db - 0.5 * arousal + 0.1 * acting.pitch_st
    values = {"valence": valence, "arousal": arousal, "dominance": dominance}
    return {name: round(float(np.clip(3.0 + value, 1.0, 5.0)), 4) for name, value in values.items()}


def random_speaker(name: str, sex: str, random: np.random.Generator) -> Speaker:
    """A speaker with a random voice and habits; ``sex`` is ``"female"`` or ``"male"``."""
    female = sex == "female"
    voice = VoiceSettings(
        pitch_hz=(200.0 if female else 115.0) * 2 ** (random.normal(0.0, 1.5) / 12),
        range_st=3.0 * np.exp(random.normal(0.0, 0.25)),
        slope_st=random.normal(3.0, 1.0),
        level_db=random.normal(0.0, 1.5),
        tempo=np.exp(random.normal(0.0, 0.07)),
        tilt=float(np.clip(random.normal(0.62, 0.05), 0.4, 0.8)),
        open_quotient=float(np.clip(random.normal(0.62, 0.04), 0.45, 0.8)),
        breath=(0.07 if female else 0.05) * np.exp(random.normal(0.0, 0.25)),
        jitter=0.01,
        shimmer=0.05,
        formant_scale=(1.17 if female else 1.0) * np.exp(random.normal(0.0, 0.03)),
    )
    habits = {emotion: _draw(HABIT, random) for emotion in ACTINGS}
    return Speaker(name, sex, voice, random.uniform(0.85, 1.25), habits, random.uniform(-62.0, -50.0))


def _draw(deviation: Acting, random: np.random.Generator) -> Acting:
    return Acting(*(random.normal(0.0, size) for size in deviation))
