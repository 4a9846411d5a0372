"""Speech emotion recognition for files, arrays and lists of these with a trained student."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from akd_toolkit.data.audio import read_audio
from akd_toolkit.inference.activity import open_activity
from akd_toolkit.inference.engine import Engine, open_engine
from akd_toolkit.inference.hub import find_student
from akd_toolkit.inference.results import NO_SPEECH, Recognition
from akd_toolkit.inference.results import timeline as spans_of
from akd_toolkit.inference.sound import PauseCutter, Sound, WindowCutter, open_sound
from akd_toolkit.inference.streaming import StreamingRecognizer

if TYPE_CHECKING:  # only SpeechBrain's calls need it
    import torch

LONG_S = 60.0  # longer sounds show progress


class EmotionRecognizer:
    """Recognises the emotion of sounds with a trained student: ``recognizer("a.wav").label``.

    The label is that of the evaluation: the largest mean posterior over windows. Before that, pauses of more than 2 s
    are shortened (``PauseCutter``), and a sound without speech has the label ``"no speech"``. Memory does not grow with
    the length of a sound.

    ``engine`` as of ``open_engine``; ``stream_options`` are options of ``StreamingRecognizer`` for the timeline and
    ``stream``, such as ``{"hop_s": 0.5}``; ``activity`` is the speech detector, see ``open_activity``.

    Example
    -------
    >>> louder = Engine("none", ("calm", "angry"), 3.0, 0.0, predict=lambda x: np.array([[1 - x.max(), x.max()]]))
    >>> import torch
    >>> recognizer = EmotionRecognizer(louder, activity="off")
    >>> recognition = recognizer(np.full(22050, 0.75, np.float32), sample_rate_hz=22050)
    >>> recognition.label, recognition.duration_s
    ('angry', 1.0)
    >>> recognizer.classify_batch(torch.tensor([[0.25] * 3200, [0.75] * 3200]))[1:]
    (tensor([0.7500, 0.7500]), tensor([0, 1]), ['calm', 'angry'])
    """

    def __init__(self, engine: Engine, stream_options: dict | None = None, activity: str = "auto"):
        self.engine, self.activity = engine, activity
        at_most_window = min(1.0, engine.window_s)
        self.stream_options = {"hop_s": at_most_window, "min_s": at_most_window, **(stream_options or {})}
        self.stream()  # refuses wrong options now rather than with the first sound

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path | None = None,
        revision: str | None = None,
        cache_folder: str | Path | None = None,
        local_only: bool = False,
        backend: str = "auto",
        threads: int = 1,
        stream_options: dict | None = None,
        activity: str = "auto",
    ) -> EmotionRecognizer:
        """A recogniser with a student from this disk or the Hugging Face hub; by default the one in this package.

        ``source`` as ``find_student``; ``revision``, ``cache_folder`` and ``local_only`` as ``resolve_source``, which
        also lists the errors; ``backend`` and ``threads`` as ``open_engine``.
        """
        if not isinstance(threads, int) or threads < 1:
            raise ValueError(f"threads must be a whole number >= 1, got {threads!r}.")
        options = {"revision": revision, "cache_folder": cache_folder, "local_only": local_only}
        place = find_student(source, **options, with_torch=backend == "torch")
        return cls(open_engine(place, backend, threads), stream_options, activity)

    @classmethod
    def from_hparams(
        cls, source: str | Path, savedir: str | Path | None = None, run_opts: dict | None = None, **options
    ) -> EmotionRecognizer:
        """``from_pretrained`` with SpeechBrain's arguments. A ``hyperparams.yaml`` in the source is not executed.

        ``savedir`` is where downloads are kept; ``run_opts`` may only be ``{"device": "cpu"}``.
        """
        for name, value in (run_opts or {}).items():
            if (name, str(value)) != ("device", "cpu"):
                raise ValueError(f"run_opts must be {{'device': 'cpu'}}, as students run on the CPU, got {run_opts}.")
        _check_options(options, cls.from_pretrained, "from_hparams", excluded=("source", "cache_folder"))
        return cls.from_pretrained(source, cache_folder=savedir, **options)

    @property
    def label_order(self) -> tuple[str, ...]:
        """Emotions in the order of the probabilities."""
        return self.engine.label_order

    @property
    def sample_rate_hz(self) -> int:
        """The student's sample rate."""
        return self.engine.sample_rate_hz

    def recognize(
        self,
        x,
        sample_rate_hz: int | None = None,
        timeline: bool = True,
        progress: bool | Callable[[float], None] = False,
        name: str | None = None,
    ) -> Recognition | list[Recognition]:
        """Recognise the emotion of a sound or of each sound in a list.

        Arguments
        ---------
        x, sample_rate_hz, name
            The sound, see ``open_sound``, or a list or column of sounds.
        timeline
            Whether to classify every hop as well: three to four times the work by default.
        progress
            Whether a list, or a sound longer than a minute, shows a bar; or a function that gets the seconds read about
            every 10 s of sound, and may raise to stop.

        FileNotFoundError, TypeError or ValueError if a sound cannot be read or classified.
        """
        if not isinstance(x, Sequence) or isinstance(x, (str, bytes, bytearray, memoryview)):
            with open_sound(x, sample_rate_hz, name) as sound:
                return self._recognize_sound(sound, timeline, progress)
        items = enumerate(x, start=1)
        if progress is True:
            from akd_toolkit.progress import tqdm  # its import would be a tenth of the start-up

            items = tqdm(items, total=len(x), unit="sound", leave=False)
        return [
            self.recognize(item, sample_rate_hz, timeline, progress, _name_of(item, f"sound {number} of the list"))
            for number, item in items
        ]

    __call__ = recognize

    def classify_file(self, path: str | Path) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[str]]:
        """One file with the return values of SpeechBrain's interfaces; see ``classify_batch``."""
        return self._as_speechbrain([self.recognize(path, timeline=False)])

    def classify_batch(
        self, wavs: torch.Tensor, wav_lens: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[str]]:
        """A batch with the return values of SpeechBrain's interfaces; probabilities, not their logarithms.

        Each utterance gets the result that it gets alone. One without speech has probabilities and a score of 0, the
        index -1 and the label ``"no speech"``. ValueError if an utterance cannot be classified.

        Shape
        -----
        wavs: [batch, samples] or [samples] at ``sample_rate_hz``, in [-1, 1]. wav_lens: [batch], the share that is
        speech, in (0, 1]. Returns out_prob [batch, classes], score [batch], index [batch], text_lab (list of labels).
        """
        import torch

        wavs = torch.as_tensor(wavs)
        wavs = wavs[None] if wavs.ndim == 1 else wavs
        shares = torch.ones(wavs.shape[:1]) if wav_lens is None else torch.as_tensor(wav_lens).detach().cpu().double()
        if wavs.ndim != 2 or not len(wavs) or shares.shape != wavs.shape[:1]:
            raise ValueError(
                f"wavs must be [batch, samples] and wav_lens [batch], got {list(wavs.shape)} and {list(shares.shape)}."
            )
        if not ((shares > 0) & (shares <= 1)).all():
            raise ValueError(f"wav_lens must be shares of the samples in (0, 1], got {shares.tolist()}.")
        counts = (shares * wavs.shape[1]).round().long().tolist()
        found = [
            self.recognize(wav[:count], self.sample_rate_hz, timeline=False, name=f"wavs[{number}]")
            for number, (wav, count) in enumerate(zip(wavs, counts))
        ]
        return self._as_speechbrain(found)

    def load_audio(self, path: str | Path) -> torch.Tensor:
        """A file as input of ``classify_batch``: float32 [samples]."""
        import torch

        return torch.from_numpy(read_audio(path, sample_rate_hz=self.sample_rate_hz))

    def stream(self, **options) -> StreamingRecognizer:
        """A recogniser of one live stream with the same student; ``options`` override ``stream_options``."""
        _check_options({**self.stream_options, **options}, StreamingRecognizer, "stream", excluded=("engine",))
        return StreamingRecognizer(self.engine, **{"activity": self.activity, **self.stream_options, **options})

    def _recognize_sound(self, sound: Sound, timeline: bool, progress) -> Recognition:
        scorer = _SpeechScorer(self.engine, open_activity(self.activity, self.sample_rate_hz))
        pieces = _with_progress(sound, self.sample_rate_hz, progress)
        spans = ()
        if timeline:
            stream = self.stream(activity=scorer)
            spans = tuple(spans_of([*(moment for piece in pieces for moment in stream.push(piece)), *stream.finish()]))
        else:
            for piece in pieces:
                scorer.push(piece)
        label, probabilities = NO_SPEECH, {}
        if (mean := scorer.mean(sound.name)) is not None:
            label = self.label_order[int(mean.argmax())]
            probabilities = dict(zip(self.label_order, mean.tolist(), strict=True))
        return Recognition(label, probabilities, sound.duration_s, scorer.pauses.speech_s, scorer.activity.name, spans)

    def _as_speechbrain(self, results: list[Recognition]):
        import torch

        order = self.label_order
        rows = [[result.probabilities.get(label, 0.0) for label in order] for result in results]
        out_prob = torch.tensor(rows, dtype=torch.float32)
        index = torch.tensor([order.index(result.label) if result.speech else -1 for result in results])
        return out_prob, out_prob.max(dim=1).values, index, [result.label for result in results]


class _SpeechScorer:
    """The mean posterior of a sound without its long pauses; usable as the speech detector of a stream."""

    def __init__(self, engine: Engine, activity):
        size, overlap = (round(s * engine.sample_rate_hz) for s in (engine.window_s, engine.overlap_s))
        self.engine, self.activity = engine, activity
        self.pauses = PauseCutter(engine.sample_rate_hz, activity.frame_s)
        self._windows = WindowCutter(size, size - overlap)
        self._sum, self._count = np.zeros(len(engine.label_order)), 0

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Score the windows that these samples complete; returns the voice activity of their frames."""
        active = self.activity.push(samples)
        self._score(self._windows.push(self.pauses.push(samples, active)))
        return active

    def reset(self) -> None:
        """A stream calls it at both ends; a scorer is used once."""

    def mean(self, name: str) -> np.ndarray | None:
        """Mean posterior of the sound [classes]; None without speech."""
        if not self.pauses.speech_s:
            return None
        self._score(self._windows.push(self.pauses.finish()))
        self._score([self._windows.finish()])
        if not np.isfinite(self._sum).all():
            raise ValueError(f"the student's probabilities for {name} are not finite; its weights are damaged.")
        return self._sum / self._count

    def _score(self, windows) -> None:
        for window in windows:
            self._sum += self.engine(window[None])[0]
            self._count += 1


def _with_progress(sound: Sound, rate_hz: int, progress: bool | Callable[[float], None]) -> Iterator[np.ndarray]:
    total_s, bar = sound.num_samples / sound.sample_rate_hz, None
    if progress is True and total_s >= LONG_S:
        from akd_toolkit.progress import tqdm

        bar = tqdm(total=round(total_s), unit="s", desc=Path(sound.name).name, leave=False)
    with bar or nullcontext():
        for piece in sound.waveform(rate_hz):
            yield piece
            if bar is not None:
                bar.update(round(sound.duration_s) - bar.n)
            if callable(progress):
                progress(sound.duration_s)


def _name_of(item, otherwise: str) -> str | None:
    """A name for messages about what has none itself."""
    return None if isinstance(item, (str, Path)) or hasattr(item, "name") else otherwise


def _check_options(options: dict, of: Callable, where: str, excluded: tuple[str, ...]) -> None:
    """Refuse a name that ``of`` has no argument for."""
    known = [name for name in inspect.signature(of).parameters if name not in excluded]
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f", did you mean '{near[0]}'?" if near else "."
            raise ValueError(f"{where} has no option '{name}'{hint} Options: {', '.join(known)}.")
