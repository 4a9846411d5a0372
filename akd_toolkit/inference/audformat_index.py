"""Emotions of the files or segments of an audformat table."""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from akd_toolkit.data.reader import open_sound_file
from akd_toolkit.inference.recognizer import EmotionRecognizer


def recognize_index(recognizer: EmotionRecognizer, index: pd.Index, root: str | Path = "") -> pd.DataFrame:
    """Label and probabilities of each row of an audformat index, on the same index.

    ``index`` is filewise (level ``file``) or segmented (levels ``file``, ``start`` and ``end``; ``end`` NaT is the end
    of the file), as of an ``audformat.Table`` or ``audinterface``; ``root`` is the folder of the files.

    Returns the columns ``label`` (text, "no speech" included), ``p_EMOTION`` (NaN without speech) and ``speech_s``,
    those of ``akd predict --csv``. ValueError for another index, or a segment beyond its file.
    """
    levels = list(index.names)
    if levels not in (["file"], ["file", "start", "end"]):
        raise ValueError(f"the index has the levels {levels}; give an audformat index: file, or file, start and end.")
    rows = []
    for key in index:
        file, start, end = (key, pd.Timedelta(0), pd.NaT) if len(levels) == 1 else key
        result = recognizer(*_sound(os.path.join(root, file), start, end), timeline=False, name=str(file))
        probabilities = {f"p_{label}": result.probabilities.get(label, np.nan) for label in recognizer.label_order}
        rows.append({"label": result.label, **probabilities, "speech_s": result.speech_s})
    columns = ["label", *(f"p_{label}" for label in recognizer.label_order), "speech_s"]
    return pd.DataFrame(rows, index=index, columns=columns)


def _sound(path: str, start: pd.Timedelta, end: pd.Timedelta) -> tuple:
    """What the recogniser takes: the file, or the samples of a segment and their rate."""
    if pd.isna(end) and not start:
        return (path,)
    with open_sound_file(path) as sound:
        rate = sound.sample_rate_hz
        first, last = round(start.total_seconds() * rate), sound.num_samples
        last = last if pd.isna(end) else round(end.total_seconds() * rate)
        if not 0 <= first < last <= sound.num_samples:
            raise ValueError(f"{path} has {sound.num_samples / rate:g} s; its segment is from {start} to {end}.")
        return np.concatenate(list(sound.blocks(first, last))).mean(axis=1), rate
