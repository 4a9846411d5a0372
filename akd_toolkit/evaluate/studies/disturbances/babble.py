"""Other people talking in the background."""

from collections.abc import Mapping, Sequence

import numpy as np

from akd_toolkit.evaluate.studies.disturbances.mixing import active_rms

VOICES = 6


def babble(
    voices: Mapping[str, Sequence[np.ndarray]], num_samples: int, random: np.random.Generator, count: int = VOICES
) -> np.ndarray:
    """The sum of ``count`` voices of equal loudness, each of another speaker as far as there are so many.

    babble[t] = sum_k v_k[t] / rms(v_k),   v_k = utterances of speaker k one after another, from a random place on

    The rms is that of the active part. Give the speakers of the training side alone: a test speaker must not be heard
    behind himself, nor behind another test speaker.

    Source: Snyder et al. 2018, "X-vectors: robust DNN embeddings", where three to seven speakers make a babble.

    Arguments
    ---------
    voices
        Speaker -> waveforms.

    Shape
    -----
    Returns [num_samples], of any scale.

    Raises
    ------
    ValueError
        If there is no speaker.

    Example
    -------
    >>> voices = {"a": [np.full(100, 0.1)], "b": [np.full(100, -0.3)]}
    >>> babble(voices, 3, np.random.default_rng(0), count=2).round(6) + 0.0  # +1 and -1
    array([0., 0., 0.])
    """
    if not voices:
        raise ValueError("babble needs at least one other speaker to be made of, and the training side has none.")
    speakers = np.resize(random.permutation(sorted(voices)), count)
    return np.sum([_voice(voices[speaker], num_samples, random) for speaker in speakers], axis=0)


def _voice(utterances: Sequence[np.ndarray], num_samples: int, random: np.random.Generator) -> np.ndarray:
    order = random.permutation(len(utterances))
    start = int(random.integers(len(utterances[order[0]])))
    parts, total, place = [], 0, 0
    while total < start + num_samples:
        parts.append(utterances[order[place % len(order)]])
        total, place = total + len(parts[-1]), place + 1
    voice = np.concatenate(parts)
    return voice[start : start + num_samples] / max(active_rms(voice), 1e-9)
