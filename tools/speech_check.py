"""Is speech found, is noise not taken for speech, and do the student's labels depend on the speech alone?

    python tools/speech_check.py --corpora EmoDB=/data/EmoDB RAVDESS=/data/RAVDESS --model student.onnx

Tables for each way to detect speech: recordings without detected speech, and with a pause that is shortened (with
``--model``, how many of these change their label); noises with detected speech; processor time for a second of sound;
and, with ``--model``, utterances of the first corpus within a minute of nothing whose label is that of the utterance.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from akd_toolkit.data.audio import SAMPLE_RATE_HZ, read_audio
from akd_toolkit.data.sounds import find_sounds
from akd_toolkit.inference import EmotionRecognizer
from akd_toolkit.inference.activity import open_activity
from akd_toolkit.inference.sound import PauseCutter

DETECTORS = ("silero", "energy")
LEVELS_DB = (-60, -40, -26, -12)  # of a noise, relative to full scale
NOISE_S, SEEDS = 10, 5
MINUTE = 60 * SAMPLE_RATE_HZ
SPEED_S = 600  # of sound, for the cost


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--corpora", nargs="+", required=True, metavar="NAME=FOLDER", help="recordings of speech")
    parser.add_argument("--model", metavar="SOURCE", help="as of akd predict")
    parser.add_argument("--utterances", type=int, default=50, help="of the first corpus that go into a minute")
    arguments = parser.parse_args(argv)
    corpora = {name: find_sounds(folder) for name, _, folder in (word.partition("=") for word in arguments.corpora)}
    models = {}
    if arguments.model:
        models = {name: EmotionRecognizer.from_pretrained(arguments.model, activity=name) for name in DETECTORS}
    first = next(iter(corpora.values()))
    print("| recordings of | detector | files | no speech | pause shortened | other label |\n|---|---|---|---|---|---|")
    for corpus, files in corpora.items():
        for name in DETECTORS:
            print(f"| {corpus} | {name} |{summary(recordings(files, name, models.get(name)))}", flush=True)
    print_noises()
    print_cost(first)
    if models:
        print_minutes(first[:: max(1, len(first) // arguments.utterances)], models)
    return 0


def summary(counts: Counter) -> str:
    names = ("files", "no speech", "pause shortened", "other label")
    return "".join(f" {counts[name]} |" for name in names)


def without_pauses(waveform: np.ndarray, detector: str) -> np.ndarray | None:
    """What the recogniser gives to the student; None without speech."""
    activity = open_activity(detector)
    cutter = PauseCutter(SAMPLE_RATE_HZ, activity.frame_s)
    kept = np.concatenate([cutter.push(waveform, activity.push(waveform)), cutter.finish()])
    return kept if cutter.speech_s else None


def recordings(files: list[Path], detector: str, recognizer: EmotionRecognizer | None) -> Counter:
    counts = Counter()
    for file in tqdm(files, unit="file", leave=False):
        try:
            waveform = read_audio(file)
        except ValueError as error:
            print(error, file=sys.stderr)
            continue
        kept = without_pauses(waveform, detector)
        counts["files"] += 1
        counts["no speech"] += kept is None
        if kept is not None and len(kept) < len(waveform):
            counts["pause shortened"] += 1
            if recognizer:
                labels = [int(recognizer.engine.posterior(sound).argmax()) for sound in (waveform, kept)]
                counts["other label"] += labels[0] != labels[1]
    return counts


def coloured(random, count: int, power: float) -> np.ndarray:
    """Noise whose power falls with frequency to this power: 0 white, 1 pink, 2 brown; of RMS 1."""
    frequencies = np.fft.rfftfreq(count, 1 / SAMPLE_RATE_HZ)
    frequencies[0] = frequencies[1]
    noise = np.fft.irfft(np.fft.rfft(random.standard_normal(count)) * frequencies ** (-power / 2), count)
    return noise / noise.std()


def noises(random, count: int) -> dict[str, np.ndarray]:
    """Sounds without speech, of RMS about 1."""
    seconds = np.arange(count) / SAMPLE_RATE_HZ
    sine = {hz: np.sin(2 * np.pi * hz * seconds) for hz in (50, 60, 440)}
    overtones = range(1, 9)
    mains = {hz: sum(np.sin(2 * np.pi * hz * k * seconds) / k for k in overtones) for hz in (50, 60)}
    notes = np.repeat(220.0 * 2 ** (random.integers(0, 13, (3, count // 8000 + 1)) / 12), 8000, axis=1)[:, :count]
    phases = 2 * np.pi * np.cumsum(notes, axis=1) / SAMPLE_RATE_HZ
    chord = sum(np.sin(phase * k) / k for phase in phases for k in range(1, 6)) * np.exp(-3 * (seconds % 0.5))
    swell = 0.5 + 0.5 * np.sin(2 * np.pi * 4 * seconds)
    burst = np.concatenate([np.zeros(count // 2), coloured(random, count - count // 2, 0)])
    return {
        **{name: coloured(random, count, power) for name, power in (("white", 0), ("pink", 1), ("brown", 2))},
        "hum 50 Hz": sine[50], "hum 60 Hz": sine[60], "hum 50 Hz, overtones": mains[50],
        "hum 60 Hz, overtones": mains[60], "tone 440 Hz": sine[440], "constant": np.ones(count),
        "clicks": np.where(np.arange(count) % SAMPLE_RATE_HZ == 8000, 30.0, 0.0),
        "zeros, then white": burst, "white, 4 swells a second": coloured(random, count, 0) * swell,
        "chords, synthetic": chord / chord.std(),
    }  # fmt: skip


def print_noises() -> None:
    found, total = Counter(), Counter()
    for seed in range(SEEDS):
        random = np.random.default_rng(seed)
        sounds = noises(random, NOISE_S * SAMPLE_RATE_HZ)
        louder = [(name, sound * 10 ** (level / 20)) for name, sound in sounds.items() for level in LEVELS_DB]
        dither = random.integers(-1, 2, NOISE_S * SAMPLE_RATE_HZ) / 2**15
        for name, sound in [*louder, ("digital zeros", 0 * dither), ("dither", dither)]:
            sound = (np.round(sound.clip(-1, 1) * (2**15 - 1)) / 2**15).astype(np.float32)
            total[name] += 1
            for detector in DETECTORS:
                found[name, detector] += without_pauses(sound, detector) is not None
    print(f"\n| noise, {NOISE_S} s each | sounds | speech by {' | by '.join(DETECTORS)} |\n|---|---|---|---|")
    for name, count in total.items():
        print(f"| {name} | {count} | " + " | ".join(str(found[name, detector]) for detector in DETECTORS) + " |")


def print_cost(files: list[Path]) -> None:
    sound = np.resize(np.concatenate([read_audio(file) for file in files[:200]]), SPEED_S * SAMPLE_RATE_HZ)
    spent = dict.fromkeys(DETECTORS, 0.0)
    activities = {name: open_activity(name) for name in DETECTORS}
    for second in np.split(sound, SPEED_S):  # in turns, so that other work disturbs both alike
        for name, activity in activities.items():
            began = time.process_time()
            activity.push(second)
            spent[name] += time.process_time() - began
    silero, energy = (1000 * spent[name] / SPEED_S for name in DETECTORS)
    print(
        f"\nprocessor time for a second of sound, in pieces of 1 s: silero {silero:.2f} ms, energy {energy:.2f} ms,",
        end="",
    )
    print(f" {silero / energy:.0f} to 1")


def print_minutes(files: list[Path], models: dict[str, EmotionRecognizer]) -> None:
    print("\n| in a minute of | detector | sounds | same label | mean difference |\n|---|---|---|---|---|")
    random = np.random.default_rng(0)
    around = {
        "digital zeros": np.zeros(MINUTE),
        "dither": random.integers(-1, 2, MINUTE) / 2**15,
        "pink noise at -60 dB": coloured(random, MINUTE, 1) / 1000,
    }
    for background, silence in around.items():
        for name, recognizer in models.items():
            pairs = [
                pair for file in tqdm(files, unit="file", leave=False) for pair in within(file, silence, recognizer)
            ]
            same = sum(alone.label == other.label for alone, other in pairs)
            apart = np.mean(
                [
                    abs(p - other.probabilities.get(k, 0))
                    for alone, other in pairs
                    for k, p in alone.probabilities.items()
                ]
            )
            print(
                f"| {background} | {name} | {len(pairs)} | {same} ({same / len(pairs):.1%}) | {apart:.3f} |", flush=True
            )


def within(file: Path, silence: np.ndarray, recognizer: EmotionRecognizer) -> Iterator[tuple]:
    """What is recognised in an utterance alone, and at the beginning, after a third and at the end of a minute."""
    speech = read_audio(file)
    alone = recognizer(speech, timeline=False)
    for place in (0, (MINUTE - len(speech)) // 3, MINUTE - len(speech)):
        sound = silence.copy()
        sound[place : place + len(speech)] += speech
        yield alone, recognizer(sound.clip(-1, 1), timeline=False)


if __name__ == "__main__":
    sys.exit(main())
