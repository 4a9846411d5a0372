"""Statistics of a corpus: counts, lengths, and anything unusual."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from akd_toolkit.data.audio import SAMPLE_RATE_HZ, Recording
from akd_toolkit.data.importers.corpus import Source, find_utterances
from akd_toolkit.data.manifest import Utterance
from akd_toolkit.data.names import is_unknown_speaker, some
from akd_toolkit.data.preparing import measure
from akd_toolkit.data.split_checks import spelling

QUIET_RMS = 0.001  # of full scale
SHORT_S, LONG_S = 0.5, 30.0
FEW = 10  # utterances of a class, below which its recall means little
MAX_SPEAKERS = 40  # listed one by one in a table


@dataclass
class Findings:
    """The measured utterances of a corpus, and what was noticed while they were read.

    ``stereo`` and ``quiet`` hold IDs, ``rates`` the number of utterances of each sampling rate.
    """

    rows: Sequence[Utterance] = ()
    speakers: bool = True  # whether the corpus says who speaks
    without_label: Sequence[str] = ()  # codes that have no label although others were given one
    separators: str = ""  # characters between the fields of a pattern
    stereo: list[str] = field(default_factory=list)
    quiet: list[str] = field(default_factory=list)
    rates: Counter = field(default_factory=Counter)

    def look(self, row: Utterance, recording: Recording) -> None:
        """Note what can be seen only while a recording is in memory."""
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
    def cells(self) -> pd.DataFrame:
        """Utterances of each speaker (index) by label (columns)."""
        speakers, labels = ([getattr(row, name) for row in self.rows] for name in ("speaker", "emotion"))
        return pd.crosstab(pd.Series(speakers, name="speaker"), pd.Series(labels))

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
        who = f"{len(self.cells)} speakers" if self.speakers else "speakers unknown"
        return f"{len(self.rows)} utterances, {who}, {len(self.counts)} classes"

    def lengths(self) -> str:
        """How long utterances are, in a sentence."""
        low, middle, high = np.quantile(self.seconds, (0, 0.5, 1))
        total = f"{self.seconds.sum() / 60:.1f} min in all"
        return f"Utterances last {low:.2f} to {high:.2f} s, half of them {middle:.2f} s or less; {total}."

    def table(self) -> tuple[list[str], list[list]]:
        """Header and rows of utterances by speaker and class; by class alone for many or unknown speakers."""
        if not self.speakers:
            return ["class", "utterances"], [list(pair) for pair in self.counts.items()]
        if len(self.cells) > MAX_SPEAKERS:
            rows = [[label, count, int((self.cells[label] > 0).sum())] for label, count in self.counts.items()]
            return ["class", "utterances", "speakers"], rows
        whole = self.cells.assign(all=self.cells.sum(axis=1))
        whole.loc["all"] = whole.sum()
        return ["speaker", *whole], [[name, *row] for name, row in zip(whole.index, whole.to_numpy().tolist())]

    def oddities(self) -> list[str]:
        """What a reader should know before trusting a score, a sentence each."""
        rows, of = self.rows, list(self.cells.index) if self.speakers else []
        odd = [f"class {label} has few utterances, {count}" for label, count in self.counts.items() if count < FEW]
        if self.without_label:
            odd.append(f"no label was given for {', '.join(self.without_label)}; it stays")
        for what, names in (("classes", self.counts), ("speakers", of)):
            alike = (", ".join(group) for group in _grouped(names, spelling))
            odd += [f"the {what} {group} may be the same, spelled differently" for group in alike]
        for sentence, names in {
            "classes are numbers ({}); --labels {first}=NAME names them": filter(str.isdigit, self.counts),
            "classes may not be emotions ({}); --labels '{first}=-' leaves them out": filter(
                is_unknown_speaker, self.counts
            ),
            "names of speakers contain a field separator ({}); check that the field holds only the speaker": [
                name for name in of if set(name) & set(self.separators)
            ],
            "some class is missing from speakers {}": [name for name in of if self.cells.loc[name].min() == 0],
        }.items():
            if names := list(names):
                odd.append(sentence.format(some(names), first=names[0]))
        if 2 * len(of) > len(rows):
            odd.append(f"{len(of)} speakers for {len(rows)} utterances; are they speakers?")
        if same := _grouped(rows, lambda row: row.sha256):
            odd.append(some(f"{one.id} and {other.id} hold the same sound" for one, other, *_ in same))
        unlike = [group for group in same if len({row.emotion for row in group}) > 1]
        odd += [f"{one.id} has another label than {other.id}, which is the same sound" for one, other, *_ in unlike[:1]]
        if self.stereo:
            odd.append(f"stereo, so that channels are averaged: {len(self.stereo)}")
        others = sorted((rate, count) for rate, count in self.rates.items() if rate != SAMPLE_RATE_HZ)
        odd += [f"of {rate} Hz, resampled to {SAMPLE_RATE_HZ}: {count}" for rate, count in others]
        for what, ids in {
            "very quiet": self.quiet,
            f"shorter than {SHORT_S} s": [row.id for row in rows if row.duration < SHORT_S],
            f"longer than {LONG_S:.0f} s": [row.id for row in rows if row.duration > LONG_S],
        }.items():
            odd += [f"{what}: {len(ids)} ({some(ids)})"] if ids else []
        return odd


def _grouped(items: Iterable, key: Callable) -> list[list]:
    """Items that share a key, where several do."""
    groups = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return [group for group in groups.values() if len(group) > 1]


def look_at(folder: Path, source: Source, corpus: str, names: Sequence[Path] | None = None) -> Findings:
    """Read a whole corpus; ``names`` are its files where they are known already.

    Errors are those of ``prepare_table``, and ValueError if there are fewer than two classes.
    """
    rows, parts = find_utterances(folder, source, names)
    labels = sorted({row.emotion for row in rows})
    if len(labels) < 2:
        raise ValueError(f"{folder} has {len(labels)} class ({', '.join(labels) or 'none'}); two are needed at least.")
    without = [label for label in labels if source.labels and label not in source.labels.values()]
    separators = "" if "(?P<" in source.pattern else re.sub(r"\{.*?\}|[^\W_]|[*/ ]", "", source.pattern)
    findings = Findings(speakers=source.speakers, without_label=without, separators=separators)
    findings.rows = measure(rows, corpus, look=findings.look, parts=parts)
    return findings
