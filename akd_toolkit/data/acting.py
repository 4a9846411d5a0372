"""Generated speakers, and how an emotion changes their voices.

Source of the directions: Banse & Scherer 1996; Juslin & Laukka 2003, tables 7 and 11; Scherer 2003. The sizes are ours.
"""

from dataclasses import dataclass, fields, replace

import numpy as np

from akd_toolkit.data.voice import VoiceSettings


@dataclass(frozen=True)
class Acting:
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
        return Acting(*(getattr(self, f.name) + share * getattr(other, f.name) for f in fields(self)))


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
        return replace(
            voice,
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
    return Acting(*(random.normal(0.0, getattr(deviation, f.name)) for f in fields(deviation)))
