"""The cost of a training step on utterances of different lengths, compared with computing the padding as well.

    python tools/packing_cost.py [rounds, default 15]

32 windows of 2.1 to 3 s and 64 of 0.75 to 1.65 s, as a batch of EmoDB with short words as unlabelled speech; micro_cnn,
cross-entropy, bfloat16 autocast, one thread. The peer gets the same windows padded to 3 s without their lengths. Both
are timed once in each round; the ratio is of medians.
"""

import statistics
import sys
import time

import torch

import akd_toolkit.models  # noqa: F401  (registers)
from akd_toolkit.registry import STUDENTS


def main(rounds: int) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(1)
    student = STUDENTS.build("micro_cnn", num_classes=7).train()
    lengths = torch.cat([0.7 + 0.3 * torch.rand(32), 0.25 + 0.3 * torch.rand(64)])
    waveforms = 0.1 * torch.randn(96, 48000) * (torch.arange(48000) < 48000 * lengths[:, None])
    labels = torch.randint(7, (96,))
    seconds = {"packed": [], "padded": []}
    for _ in range(rounds + 1):
        for title, known in (("packed", lengths), ("padded", None)):
            begin = time.process_time()
            with torch.autocast("cpu", torch.bfloat16):
                logits = student(waveforms, known).logits
            torch.nn.functional.cross_entropy(logits.float(), labels).backward()
            student.zero_grad()
            seconds[title].append(time.process_time() - begin)
    medians = {title: statistics.median(times[1:]) for title, times in seconds.items()}
    shown = ", ".join(f"{title} {value:.3f}" for title, value in medians.items())
    print(f"{float(lengths.mean()):.2f} of the frames are speech; CPU seconds a step: {shown}")
    print(f"packed over padded: {medians['packed'] / medians['padded']:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
