"""Speech as a SpeechBrain dataset: an item is one window, with label, attributes and teacher outputs.

The functions below are its pipeline; SpeechBrain calls those whose items are requested. docs/augmentation.md shows how
a recipe adds items.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import cloudpickle
import numpy as np

from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.environment import sb
from akd_toolkit.outputs import UNLABELLED, TeacherOutput

takes, provides = sb.utils.data_pipeline.takes, sb.utils.data_pipeline.provides

OUTPUTS = ("id", "window", "label", "attributes", "teacher", "key")  # what ``collate_items`` needs
STATIC = ("id", "speech", "utterance", "source", "row", "view", "place", "size", "key")


@dataclass(frozen=True)
class Speech:
    """A corpus to draw windows from; teacher outputs are those of one utterance, or None.

    The span is the window's (begin, end) as shares of the utterance, for losses on frames.
    """

    manifest: Manifest
    waveform: Callable[[str, int], np.ndarray]  # utterance id, view -> samples, 16 kHz
    teachers: Callable[[str, int, tuple[float, float]], TeacherOutput] | None = None  # id, view, span -> outputs
    views: int = 0  # augmented copies of each utterance; 0 uses the clean ones only
    attributes: tuple[str, ...] = ()  # names of the dimensional labels that items carry
    labelled: bool = True  # False for speech whose emotions are unknown
    weight: float = 1.0  # share of the unlabelled windows, relative to other unlabelled sources
    chances: np.ndarray | None = None  # of unlabelled utterances to be drawn, [N]; None draws all equally often


class Draw(NamedTuple):
    """One window: the index of an item of a ``WindowDataset``."""

    source: int  # index of the ``Speech`` that it comes from
    row: int  # of that speech's manifest
    view: int = 0  # 0 is the clean utterance, others are augmented copies
    # Samples, or the start of a window of ``size`` samples as a share, in [0, 1), of the possible starts.
    place: slice | float = slice(None)
    size: int = 0  # if ``place`` is a share; a shorter utterance is taken whole
    key: tuple[int, ...] = ()  # identifies the batch and seeds its augmentation


@takes("speech", "utterance", "view")
@provides("sound")
def sound(speech: Speech, utterance: Utterance, view: int) -> np.ndarray:
    """Samples of the whole view."""
    return speech.waveform(utterance.id, view)


@takes("sound", "place", "size")
@provides("window", "span")
def window(samples: np.ndarray, place: slice | float, size: int) -> tuple[np.ndarray, tuple[float, float]]:
    """Samples of the window, and the window as (begin, end) shares of the utterance."""
    if not isinstance(place, slice):
        start = round(place * max(0, len(samples) - size))
        place = slice(start, start + size)
    begin, end, _ = place.indices(len(samples))
    return samples[begin:end], (begin / len(samples), end / len(samples))


@takes("speech", "utterance")
@provides("label")
def label(speech: Speech, utterance: Utterance) -> int:
    """Index into the label order, or UNLABELLED."""
    return speech.manifest.label_order.index(utterance.emotion) if speech.labelled else UNLABELLED


@takes("speech", "utterance")
@provides("attributes")
def attributes(speech: Speech, utterance: Utterance) -> np.ndarray | None:
    """Dimensional labels [A], NaN where unknown; None if the corpus has none."""
    if not speech.attributes:
        return None
    return np.array([utterance.attributes.get(name, np.nan) for name in speech.attributes])


@takes("speech", "utterance", "view", "span")
@provides("teacher")
def teacher(speech: Speech, utterance: Utterance, view: int, span: tuple[float, float]) -> TeacherOutput | None:
    """Teacher outputs for the view that the window comes from."""
    return None if speech.teachers is None else speech.teachers(utterance.id, view, span)


class WindowDataset(sb.dataio.dataset.DynamicItemDataset):
    """Windows of speech: ``dataset[draw]`` is the window of a ``Draw``, ``dataset[5]`` the whole sixth utterance.

    ``sources`` are the ``Speech`` that windows come from: labelled speech first, then unlabelled.

    Example
    -------
    >>> row = Utterance("a1", "/a1.wav", 0, 16000, 1.0, speaker="A", emotion="sadness")
    >>> speech = Speech(Manifest("toy", ("anger", "sadness"), (row,)), lambda name, view: np.arange(16000.0))
    >>> item = WindowDataset([speech])[Draw(source=0, row=0, place=0.5, size=8000)]
    >>> item["id"], item["label"], item["window"][:3]
    ('a1', 1, array([4000., 4001., 4002.]))
    """

    def __init__(self, sources):
        self.sources = tuple(sources)
        self.pipeline = sb.utils.data_pipeline.DataPipeline(STATIC, [sound, window, label, attributes, teacher])
        self.set_output_keys(OUTPUTS)

    def __len__(self) -> int:
        return sum(len(speech.manifest) for speech in self.sources)

    def __getitem__(self, draw: Draw | int) -> dict:
        if isinstance(draw, int):
            source, row = 0, range(len(self))[draw]
            while row >= len(self.sources[source].manifest):
                source, row = source + 1, row - len(self.sources[source].manifest)
            draw = Draw(source, row)
        speech = self.sources[draw.source]
        utterance = speech.manifest.utterances[draw.row]
        static = {"id": utterance.id, "speech": speech, "utterance": utterance, **draw._asdict()}
        return self.pipeline.compute_outputs(static)

    def __reduce__(self):
        """Sent to workers by cloudpickle, because pickle refuses functions defined in a script."""
        return _unpacked, (cloudpickle.dumps((type(self), vars(self))),)


def _unpacked(packed: bytes) -> WindowDataset:
    kind, state = cloudpickle.loads(packed)
    dataset = kind.__new__(kind)
    vars(dataset).update(state)
    return dataset
