"""What the face teacher costs: CPU seconds of one thread for a minute of video.

    python tools/face_cost.py CLIP... [--source fer] [--pictures_per_s 5] [--rounds 5]

One row for each size of picture among the clips. ``reading`` is decoding and reducing all pictures that are used,
``faces`` finding and following them, ``expressions`` the network. Medians over the rounds, after one that warms up.
"""

import argparse
import statistics
import time
from collections import defaultdict
from pathlib import Path

import torch

import akd_toolkit.teachers  # noqa: F401  (registers)
from akd_toolkit.data.video import read_pictures
from akd_toolkit.registry import TEACHERS
from akd_toolkit.teachers.faces import largest_track

PARTS = ("reading", "faces", "expressions")


def size_and_seconds(clip: Path) -> tuple[str, float]:
    import av

    with av.open(str(clip)) as file:
        track = file.streams.video[0]
        frames = [frame.pts for frame in file.decode(track)]
        return f"{track.width} x {track.height}", float((frames[-1] - frames[0]) * track.time_base)


def cost(clip: Path, teacher) -> list[float]:
    """CPU seconds of each part for one clip."""
    detect, describe, _ = teacher._loaded
    begin = time.process_time()
    pictures = list(read_pictures(clip, teacher.pictures_per_s))
    read, expressions = time.process_time(), 0.0

    def timed(faces):
        nonlocal expressions
        start = time.process_time()
        outputs = describe(faces)
        expressions += time.process_time() - start
        return outputs

    largest_track(pictures, teacher.pictures_per_s, detect, timed)
    return [read - begin, time.process_time() - read - expressions, expressions]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--source", default="fer")
    parser.add_argument("--pictures_per_s", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    teacher = TEACHERS.build("face_expression", source=options.source, pictures_per_s=options.pictures_per_s)
    sizes = defaultdict(list)
    for clip in options.clips:
        size, seconds = size_and_seconds(clip)
        sizes[size].append((clip, seconds))
    print(f"| pictures, {options.pictures_per_s:g} a second | clips | {' | '.join(PARTS)} | CPU s a minute |")
    print("|---|---:|---:|---:|---:|---:|")
    for size, clips in sizes.items():
        rounds = []
        for _ in range(options.rounds + 1):
            costs = [cost(clip, teacher) for clip, _ in clips]
            rounds.append([sum(part) for part in zip(*costs)])
        minutes = sum(seconds for _, seconds in clips) / 60
        parts = [statistics.median(part) / minutes for part in zip(*rounds[1:])]
        cells = " | ".join(f"{value:.1f}" for value in [*parts, sum(parts)])
        print(f"| {size} | {len(clips)} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
