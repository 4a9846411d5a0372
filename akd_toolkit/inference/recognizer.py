"""What somebody feels who speaks in a file, an array or a list of these, by a released student."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from akd_toolkit.data.audio import read_audio
from akd_toolkit.inference.activity import open_activity
from akd_toolkit.inference.engine import Engine, open_engine
from akd_toolkit.inference.pauses import PauseCutter
from akd_toolkit.inference.recognition import Recognition
from akd_toolkit.inference.sound import Sound, open_sound
from akd_toolkit.inference.source import check_options, find_student
from akd_toolkit.inference.streaming import StreamingRecognizer
from akd_toolkit.inference.timeline import NO_SPEECH, Moment
from akd_toolkit.inference.timeline import timeline as spans_of
from akd_toolkit.inference.windows import WindowCutter

if TYPE_CHECKING:  # SpeechBrain's calls alone need it, and it takes its time and memory
    import torch

LONG_S = 60.0  # from here on reading a sound shows progress


class EmotionRecognizer:
    """A trained student that answers for sounds: ``recognizer("a.wav").label``.

    The label is that of the evaluation: windows as the student was scored with, the mean of their posteriors, the
    largest of these. Before that, pauses of more than 2 s are shortened to 0.1 s beside the speech (``PauseCutter``),
    and a sound without speech has the label ``"no speech"``. Sound of any rate and length is read piece by piece, so
    that hours need no more memory than seconds.

    Arguments
    ---------
    engine
        See ``open_engine``; ``from_hparams`` and ``from_pretrained`` open one.
    stream_options
        Of ``StreamingRecognizer``, which makes the timeline and ``stream``: ``{"hop_s": 0.5}``. By default a hop of
        1 s, or of the student's window where that is shorter.
    activity
        What detects speech, see ``open_activity``.

    Example
    -------
    >>> louder = Engine("none", ("calm", "angry"), 3.0, 0.0, answer=lambda x: np.array([[1 - x.max(), x.max()]]))
    >>> import torch
    >>> recognizer = EmotionRecognizer(louder, activity="off")
    >>> recognition = recognizer(np.full(22050, 0.75, np.float32), sample_rate_hz=44100)
    >>> recognition.label, recognition.duration_s
    ('angry', 0.5)
    >>> recognizer.classify_batch(torch.tensor([[0.25] * 3200, [0.75] * 3200]))[1:]
    (tensor([0.7500, 0.7500]), tensor([0, 1]), ['calm', 'angry'])
    """

    def __init__(self, engine: Engine, stream_options: dict | None = None, activity: str = "auto"):
        self.engine, self.activity = engine, activity
        longest = {"hop_s": min(1.0, engine.window_s), "min_s": min(1.0, engine.window_s)}
        self.stream_options = {**longest, **(stream_options or {})}
        self.stream()  # options that cannot be are refused here and not with the first sound

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        revision: str | None = None,
        cache_folder: str | Path | None = None,
        local_only: bool = False,
        backend: str = "auto",
        threads: int = 1,
        stream_options: dict | None = None,
        activity: str = "auto",
    ) -> EmotionRecognizer:
        """A recogniser of a student that lies here or on the hub.

        Arguments
        ---------
        source
            The folder of a finished run or of a bundle, an exported ``.onnx`` file, or ``owner/name`` on the hub.
        revision, cache_folder, local_only
            Of a student on the hub: which version; where it is kept; whether nobody may be asked for it.
        backend, threads
            See ``open_engine``.
        activity
            See ``open_activity``.

        Raises
        ------
        ImportError
            If the activity ``"silero"`` is asked for and its package is missing.
        FileNotFoundError, ConnectionError, PermissionError, ValueError
            If there is no such student, it is not as it was released, or an option is out of range; see
            ``resolve_source``.
        """
        if not isinstance(threads, int) or threads < 1:
            raise ValueError(f"threads must be a whole number from 1, got {threads!r}.")
        place = find_student(source, revision, cache_folder, local_only, built=backend == "torch")
        return cls(open_engine(place, backend, threads), stream_options, activity)

    @classmethod
    def from_hparams(
        cls, source: str | Path, savedir: str | Path | None = None, run_opts: dict | None = None, **options
    ) -> EmotionRecognizer:
        """The same as SpeechBrain calls it. A ``hyperparams.yaml`` in the source is never executed.

        Arguments
        ---------
        savedir
            Where a download is kept; None: the hub's own cache.
        run_opts
            ``{"device": "cpu"}`` or nothing: a student is small enough for the CPU, and is run there.
        options
            Those of ``from_pretrained``.

        Raises
        ------
        ValueError
            If an option is not known; besides, as ``from_pretrained``.
        """
        for name, value in (run_opts or {}).items():
            if (name, str(value)) != ("device", "cpu"):
                raise ValueError(f"run_opts may say {{'device': 'cpu'}}, where students are run, got {run_opts}.")
        check_options(options, cls.from_pretrained, "from_hparams", but=("source", "cache_folder"))
        return cls.from_pretrained(source, cache_folder=savedir, **options)

    @property
    def label_order(self) -> tuple[str, ...]:
        """Emotions in the order of the probabilities."""
        return self.engine.label_order

    @property
    def sample_rate_hz(self) -> int:
        """The rate at which the student listens."""
        return self.engine.sample_rate_hz

    def __call__(self, x, sample_rate_hz: int | None = None, **options) -> Recognition | list[Recognition]:
        """See ``recognize``."""
        return self.recognize(x, sample_rate_hz, **options)

    def recognize(
        self,
        x,
        sample_rate_hz: int | None = None,
        timeline: bool = True,
        progress: bool | Callable[[float], None] = False,
        name: str | None = None,
    ) -> Recognition | list[Recognition]:
        """What was said with which emotion.

        Arguments
        ---------
        x
            A path, the bytes of a sound file, an open binary file, samples (see ``open_sound``), or a list of these.
        sample_rate_hz
            Of samples; 16 000 if None. Files say it themselves.
        timeline
            Whether to answer hop by hop as well: one more window a hop, so three to four times the work by default.
        progress
            Whether a list, or a sound longer than a minute, shows how far it is; or a function that is told the
            seconds heard so far about every 10 s of sound, and may raise to stop.
        name
            Of the sound in messages.

        Raises
        ------
        FileNotFoundError, TypeError, ValueError
            If a sound cannot be read or answered; the sentence names it. A list ends with its first such sound.
        """
        if isinstance(x, (list, tuple)):
            names = [_name_in_list(item, number) for number, item in enumerate(x, start=1)]
            items = zip(x, names)
            if progress is True:
                from tqdm import tqdm  # here, because without a bar its import would be a tenth of the start

                items = tqdm(items, total=len(x), unit="sound", leave=False)
            return [self.recognize(item, sample_rate_hz, timeline, progress, name) for item, name in items]
        with open_sound(x, sample_rate_hz, name) as sound:
            return self._recognized(sound, timeline, progress)

    def classify_file(self, path: str | Path) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[str]]:
        """As SpeechBrain's interfaces of emotion recognition answer for one file; see ``classify_batch``."""
        return self._classified([self.recognize(path, timeline=False)])

    def classify_batch(
        self, wavs: torch.Tensor, wav_lens: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[str]]:
        """As SpeechBrain's interfaces of emotion recognition answer: probabilities, not their logarithms.

        Each utterance is answered as if it were alone: its padding is cut off, and if it is longer than the student's
        window, the mean over windows is taken. One without speech has probabilities and a score of 0, the index -1 and
        the label ``"no speech"``.

        Arguments
        ---------
        wavs
            Waveforms at ``sample_rate_hz`` of the recogniser, in [-1, 1].
        wav_lens
            Share of the samples that is speech, in (0, 1]; None for all of it.

        Shape
        -----
        wavs: [batch, samples] or [samples]. wav_lens: [batch]. Returns out_prob [batch, classes]; score [batch], the
        largest probability; index [batch], its place in ``label_order``; text_lab, a list of labels.

        Raises
        ------
        ValueError
            If the shapes are others, or an utterance cannot be answered; the sentence counts it from 0.
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
        return self._classified(
            [
                self.recognize(wav[:count], self.sample_rate_hz, timeline=False, name=f"wavs[{number}]")
                for number, (wav, count) in enumerate(zip(wavs, counts))
            ]
        )

    def load_audio(self, path: str | Path) -> torch.Tensor:
        """A file as the student hears it, for ``classify_batch``: float32 [samples] at ``sample_rate_hz``."""
        import torch

        return torch.from_numpy(read_audio(path, sample_rate_hz=self.sample_rate_hz))

    def stream(self, **options) -> StreamingRecognizer:
        """A recogniser of one live stream by the same student; ``options`` go before ``stream_options``.

        Raises
        ------
        ValueError
            If an option is not one of ``StreamingRecognizer``, or out of range.
        """
        check_options({**self.stream_options, **options}, StreamingRecognizer, "stream", but=("engine",))
        return StreamingRecognizer(self.engine, **{"activity": self.activity, **self.stream_options, **options})

    def _recognized(self, sound: Sound, timeline: bool, progress) -> Recognition:
        spoken = _Spoken(self.engine, open_activity(self.activity, self.sample_rate_hz))
        pieces = _shown(sound, self.sample_rate_hz, progress)
        if timeline:
            spans = tuple(spans_of(_moments(pieces, self.stream(activity=spoken))))
        else:
            spans = ()
            for piece in pieces:
                spoken.push(piece)
        label, probabilities = NO_SPEECH, {}
        if (mean := spoken.mean(sound.name)) is not None:
            label = self.label_order[int(mean.argmax())]
            probabilities = dict(zip(self.label_order, mean.tolist(), strict=True))
        return Recognition(label, probabilities, sound.duration_s, spoken.speech_s, spoken.activity.name, spans)

    def _classified(self, answers: list[Recognition]):
        import torch

        order = self.label_order
        rows = [[answer.probabilities.get(label, 0.0) for label in order] for answer in answers]
        out_prob = torch.tensor(rows, dtype=torch.float32)
        index = torch.tensor([order.index(answer.label) if answer.speech else -1 for answer in answers])
        return out_prob, out_prob.max(dim=1).values, index, [answer.label for answer in answers]


class _Spoken:
    """The mean answer to the windows of a sound without its long pauses; as it detects speech, a stream can use it."""

    def __init__(self, engine: Engine, activity):
        size, overlap = (round(s * engine.sample_rate_hz) for s in (engine.window_s, engine.overlap_s))
        self.engine, self.activity = engine, activity
        self._pauses = PauseCutter(engine.sample_rate_hz, activity.frame_s)
        self._windows = WindowCutter(size, size - overlap)
        self._sum, self._count = np.zeros(len(engine.label_order)), 0

    @property
    def speech_s(self) -> float:
        """Seconds of speech so far."""
        return self._pauses.speech_s

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Whether there is speech in each frame that these samples complete; its windows are answered."""
        active = self.activity.push(samples)
        self._answer(self._windows.push(self._pauses.push(samples, active)))
        return active

    def reset(self) -> None:
        """The stream begins or ends."""

    def mean(self, name: str) -> np.ndarray | None:
        """Posterior of all that was pushed, float64 [classes]; None without speech."""
        if not self.speech_s:
            return None
        self._answer(self._windows.push(self._pauses.finish()))
        self._answer([self._windows.finish()])
        if not np.isfinite(self._sum).all():
            raise ValueError(f"the student answers {name} with no numbers; its weights are damaged, get it again.")
        return self._sum / self._count

    def _answer(self, windows) -> None:
        for window in windows:
            self._sum += self.engine(window[None])[0]
            self._count += 1


def _moments(pieces: Iterator[np.ndarray], stream: StreamingRecognizer) -> Iterator[Moment]:
    """The moments of a sound, one after another."""
    for piece in pieces:
        yield from stream.push(piece)
    yield from stream.finish()


def _shown(sound: Sound, rate_hz: int, progress: bool | Callable[[float], None]) -> Iterator[np.ndarray]:
    total_s = sound.num_samples / sound.sample_rate_hz
    if progress is True and total_s >= LONG_S:
        from tqdm import tqdm

        with tqdm(total=round(total_s), unit="s", desc=Path(sound.name).name, leave=False) as bar:
            for piece in sound.waveform(rate_hz):
                yield piece
                bar.update(round(sound.duration_s) - bar.n)
        return
    for piece in sound.waveform(rate_hz):
        yield piece
        if callable(progress):
            progress(sound.duration_s)


def _name_in_list(x, number: int) -> str | None:
    """Paths and files have names; of what has none, its place in the list."""
    return None if isinstance(x, (str, Path)) or hasattr(x, "name") else f"sound {number} of the list"
