"""The cost of augmenting training batches, compared with a training step of the student.

    python tools/augmentation_cost.py [batch size, default 32] [rounds, default 15]

CPU time of one thread, medians; every row is timed once in each round. The step is micro_cnn on windows of 3 s with
cross-entropy, bfloat16 autocast and AdamW, as the recipes train. Every augmentation acts on every utterance (p: 1), so
that at p: 0.3 it costs about three tenths; recorded noise is read from memory, as it is after the first epoch.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch

import akd_toolkit.models  # noqa: F401  (registers)
from akd_toolkit.data.audio import SAMPLE_RATE_HZ
from akd_toolkit.data.augment import Mixup, build_augmentations, change_batch
from akd_toolkit.data.batches import Batch
from akd_toolkit.registry import AUGMENTATIONS, STUDENTS

CLASSES, WINDOW_S, FRAMES, BANDS = 7, 3, 298, 64


def stepper(batch: Batch):
    """A function that trains the student for one step."""
    student = STUDENTS.build("micro_cnn", num_classes=CLASSES).train()
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-4, weight_decay=0.05)

    def step():
        with torch.autocast("cpu", torch.bfloat16):
            loss = torch.nn.functional.cross_entropy(student(batch.waveforms, batch.lengths).logits, batch.labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def changers(batch: Batch, noise_folder: str) -> dict:
    """Title -> a function that changes the batch in one way."""
    more = {
        "added_noise": [{"colour": "white"}, {"colour": "any"}],
        "noise_files": [{"folder": noise_folder}],
    }
    features, num_frames = torch.randn(len(batch.ids), FRAMES, 1, BANDS), torch.full((len(batch.ids),), FRAMES)
    rows = {}
    for name in AUGMENTATIONS.names():
        for options in more.get(name, [{}]):
            (plugin,) = build_augmentations([{"name": name, "p": 1.0, **options}])
            title = f"`{name}`" + (f", {options['colour']}" if "colour" in options else "")
            if plugin.stage == "features":
                rows[title] = lambda plugin=plugin: plugin(features, num_frames)
            else:
                rows[title] = lambda plugin=plugin: change_batch(batch, (0, 1, 1), [plugin])
    rows["`mixup`, the mixing"] = lambda: change_batch(batch, (0, 1, 1), mixup=Mixup())
    return rows


def main(argv: list[str]) -> int:
    if len(argv) > 2 or not all(value.isdigit() and int(value) > 0 for value in argv):
        print(__doc__, file=sys.stderr)
        return 2
    size, rounds = (int(value) for value in [*argv, *("32", "15")[len(argv) :]])
    torch.set_num_threads(1)
    torch.manual_seed(0)
    waveforms = 0.1 * torch.randn(size, WINDOW_S * SAMPLE_RATE_HZ)
    batch = Batch([str(i) for i in range(size)], waveforms, torch.ones(size), torch.randint(CLASSES, (size,)))
    with tempfile.TemporaryDirectory() as folder:
        for number in range(4):
            noise = 0.1 * np.random.default_rng(number).standard_normal(10 * SAMPLE_RATE_HZ)
            soundfile.write(Path(folder) / f"{number}.wav", noise, SAMPLE_RATE_HZ)
        tasks = {"the student's step": stepper(batch), **changers(batch, folder)}
        times = {title: [] for title in tasks}
        for _ in range(rounds + 1):
            for title, task in tasks.items():
                start = time.process_time()
                task()
                times[title].append(time.process_time() - start)
    medians = {title: 1e3 * statistics.median(values[1:]) for title, values in times.items()}  # the first warms up
    own = medians.pop("the student's step")
    print(f"| batch of {size} x {WINDOW_S} s | CPU ms | share of the student's {own:.0f} ms |\n|---|---:|---:|")
    for title, ms in medians.items():
        print(f"| {title} | {ms:.1f} | {100 * ms / own:.0f} % |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
