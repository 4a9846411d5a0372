"""What a corpus holds: counts, lengths, and what is odd about it."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from akd_toolkit.data.audio import SAMPLE_RATE_HZ, Recording
from akd_toolkit.data.manifest import Utterance
from akd_toolkit.data.names import is_nobody
from akd_toolkit.data.preparing import shortened
from akd_toolkit.data.source import Source, find_utterances
from akd_toolkit.data.table import measure_utterances

QUIET_RMS = 0.001  # of full scale
SHORT_S, LONG_S = 0.5, 30.0
FEW = 10  # utterances of a class, below which its recall says little
MAX_SPEAKERS = 40  # that a table shows one by one


@dataclass
class Findings:
    """The utterances of a corpus, measured, and what was noticed on the way.

    Arguments
    ---------
    speakers
        Whether the corpus says who speaks.
    without_label
        Codes that stay as they are although others were given labels.
    separators
        Signs that stand between the fields of a pattern.
    stereo, quiet, rates
        IDs of utterances in several channels, of very quiet ones, and how many have which sampling rate.
    """

    rows: Sequence[Utterance] = ()
    speakers: bool = True
    without_label: Sequence[str] = ()
    separators: str = ""
    stereo: list[str] = field(default_factory=list)
    quiet: list[str] = field(default_factory=list)
    rates: Counter = field(default_factory=Counter)

    def look(self, row: Utterance, recording: Recording) -> None:
        """Notice what is seen only while a recording is in memory."""
        self.rates[recording.sample_rate_hz] += 1
        if recording.channels > 1:
            self.stereo.append(row.id)
        if np.sqrt(np.mean(np.square(recording.samples, dtype=float))) < QUIET_RMS:
            self.quiet.append(row.id)

    @cached_property
    def counts(self) -> dict[str, int]:
        """Label -> utterances, by name."""
        return dict(sorted(Counter(row.emotion for row in self.rows).items()))

    @cached_property
    def of_speakers(self) -> dict[str, Counter]:
        """Speaker -> utterances by label; empty where nobody knows who speaks."""
        named: dict[str, Counter] = {}
        for row in sorted(self.rows, key=lambda row: row.speaker) if self.speakers else ():
            named.setdefault(row.speaker, Counter())[row.emotion] += 1
        return named

    @cached_property
    def seconds(self) -> np.ndarray:
        """Length of each utterance, [utterances]."""
        return np.array([row.duration for row in self.rows])

    @property
    def window_s(self) -> float:
        """A window that holds three of four utterances whole: a multiple of 0.5 s from 1 to 6."""
        return float(np.clip(np.ceil(2 * np.quantile(self.seconds, 0.75)) / 2, 1.0, 6.0))

    def sentence(self) -> str:
        """``96 utterances, 8 speakers, 4 classes``."""
        who = f"{len(self.of_speakers)} speakers" if self.speakers else "speakers unknown"
        return f"{len(self.rows)} utterances, {who}, {len(self.counts)} classes"

    def lengths(self) -> str:
        """How long utterances are, in a sentence."""
        low, middle, high = np.quantile(self.seconds, (0, 0.5, 1))
        minutes = self.seconds.sum() / 60
        return (
            f"Utterances last {low:.2f} to {high:.2f} s, half of them {middle:.2f} s or less; {minutes:.1f} min in all."
        )

    def table(self) -> tuple[list[str], list[list]]:
        """Header and rows of utterances by speaker and class; of many speakers, or unknown ones, by class alone."""
        if not self.of_speakers or len(self.of_speakers) > MAX_SPEAKERS:
            rows = [[label, count, *self._speakers_of(label)] for label, count in self.counts.items()]
            return ["class", "utterances", *(["speakers"] if self.speakers else [])], rows
        rows = [[name, *(of[label] for label in self.counts), of.total()] for name, of in self.of_speakers.items()]
        return ["speaker", *self.counts, "all"], [*rows, ["all", *self.counts.values(), len(self.rows)]]

    def _speakers_of(self, label: str) -> list[int]:
        return [sum(of[label] > 0 for of in self.of_speakers.values())] if self.speakers else []

    def oddities(self) -> list[str]:
        """What a reader should know before trusting a score, a sentence each."""
        odd = self._odd_names() + self._same_sound()
        odd += [f"stereo, so that channels are averaged: {len(self.stereo)}"] if self.stereo else []
        other = {rate: n for rate, n in sorted(self.rates.items()) if rate != SAMPLE_RATE_HZ}
        odd += [f"of {rate} Hz, resampled to {SAMPLE_RATE_HZ}: {n}" for rate, n in other.items()]
        for what, ids in (
            ("very quiet", self.quiet),
            (f"shorter than {SHORT_S} s", [row.id for row in self.rows if row.duration < SHORT_S]),
            (f"longer than {LONG_S:.0f} s", [row.id for row in self.rows if row.duration > LONG_S]),
        ):
            odd += [f"{what}: {len(ids)} ({', '.join(shortened(ids))})"] if ids else []
        return odd

    def _odd_names(self) -> list[str]:
        """Classes and speakers that may not be what they seem."""
        odd = [f"class {label} has few utterances, {count}" for label, count in self.counts.items() if count < FEW]
        odd += [f"no label was given for {', '.join(self.without_label)}; it stays"] if self.without_label else []
        odd += _alike("classes", self.counts) + _alike("speakers", self.of_speakers)
        joined = [name for name in self.of_speakers if set(name) & set(self.separators)]
        unclear = [label for label in self.counts if is_nobody(label)]
        numbers = [label for label in self.counts if label.isdigit()]
        without = [name for name, of in self.of_speakers.items() if len(of) < len(self.counts)]
        for names, sentence in (
            (numbers, "classes are numbers ({}); --labels {first}=NAME names them"),
            (unclear, "classes may not be emotions ({}); --labels '{first}=-' leaves them out"),
            (joined, "speakers hold a sign that parts fields ({}); is it the speaker alone?"),
            (without, "some class is missing from speakers {}"),
        ):
            odd += [sentence.format(", ".join(shortened(names)), first=names[0])] if names else []
        if 2 * len(self.of_speakers) > len(self.rows):
            odd.append(f"{len(self.of_speakers)} speakers for {len(self.rows)} utterances; are they speakers?")
        return odd

    def _same_sound(self) -> list[str]:
        sounds: dict[str, list[Utterance]] = {}
        for row in self.rows:
            sounds.setdefault(row.sha256, []).append(row)
        same = [rows for rows in sounds.values() if len(rows) > 1]
        pairs = [f"{rows[0].id} and {rows[1].id} hold the same sound" for rows in same]
        unlike = [rows for rows in same if len({row.emotion for row in rows}) > 1]
        return [
            *shortened(pairs),
            *(f"{rows[0].id} has another label than {rows[1].id}, which is the same sound" for rows in unlike[:1]),
        ]


def _alike(what: str, names: Iterable[str]) -> list[str]:
    """Names that may mean the same, because they differ in capitals or in zeros at the beginning alone."""
    same: dict[str, list[str]] = {}
    for name in names:
        same.setdefault(name.lower().lstrip("0").removesuffix(".0"), []).append(name)
    groups = [", ".join(group) for group in same.values() if len(group) > 1]
    return [f"the {what} {group} may be one, written differently" for group in groups]


def look_at(folder: Path, source: Source, corpus: str, names: Sequence[Path] | None = None) -> Findings:
    """Read a whole corpus and say what it holds; ``names`` are its files where they are known already.

    Raises
    ------
    FileNotFoundError, ValueError
        As ``prepare_table``, or if there is but one class.
    """
    rows, parts = find_utterances(folder, source, names)
    labels = sorted({row.emotion for row in rows})
    without = [label for label in labels if source.labels and label not in source.labels.values()]
    separators = "" if "(?P<" in source.pattern else re.sub(r"\{.*?\}|[^\W_]|[*/ ]", "", source.pattern)
    findings = Findings(speakers=source.speakers, without_label=without, separators=separators)
    if len(labels) < 2:
        raise ValueError(f"{folder} has {len(labels)} class ({', '.join(labels) or 'none'}); two are needed at least.")
    findings.rows = measure_utterances(rows, parts, corpus, findings.look)
    return findings
