"""Generated voices of one length: what every row hears, and what fresh weights are calibrated on."""

import numpy as np

from akd_toolkit.data.audio import SAMPLE_RATE_HZ
from akd_toolkit.data.voice import VoiceSettings, random_sentence, speak


def generated_voices(count: int, window_s: float, seed: int = 0) -> np.ndarray:
    """Voices of different pitch and tempo that speak without a pause: [count, samples] float32.

    Speech and not noise, because openSMILE takes longer where it finds a pitch.

    Example
    -------
    >>> generated_voices(2, window_s=0.5).shape
    (2, 8000)
    """
    random = np.random.default_rng(seed)
    num_samples = round(window_s * SAMPLE_RATE_HZ)
    windows = []
    for _ in range(count):
        settings = VoiceSettings(pitch_hz=random.uniform(90, 250), tempo=random.uniform(0.8, 1.3))
        speech = np.zeros(0, dtype=np.float32)
        while len(speech) < num_samples:
            speech = np.concatenate([speech, speak(random_sentence(random), settings, random)])
        windows.append(speech[:num_samples])
    return np.stack(windows)
