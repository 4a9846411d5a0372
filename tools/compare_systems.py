"""By how much one system is ahead of another on the same utterances, from the stored scores of their runs.

    python tools/compare_systems.py results/akd results/student [results/kd results/student ...]

Each pair is two output folders, or two scores.csv. The difference is of pooled scores, averaged over seeds; its 95 %
interval is a paired jackknife t interval over speakers, p from a permutation test by speaker.
"""

import sys
from pathlib import Path

from akd_toolkit.evaluate.report.summary import compare
from akd_toolkit.experiment.scores_file import read_scores


def scores_of(path: str):
    path = Path(path)
    return read_scores(path / "scores.csv" if path.is_dir() else path)


def main(argv: list[str]) -> int:
    if not argv or len(argv) % 2:
        print(__doc__, file=sys.stderr)
        return 2
    print("| system | against | UA points [95 %] | p | WA points [95 %] | p | each seed's UA points |")
    print("|---|---|---:|---:|---:|---:|---|")
    for one, other in zip(argv[::2], argv[1::2]):
        try:
            found = compare(scores_of(one), scores_of(other))
        except (ValueError, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        cells = [Path(one).name, Path(other).name]
        for score in ("ua", "wa"):
            value, low, high = (100 * found[f"{score}_{part}"] for part in ("difference", "low", "high"))
            cells += [f"{value:+.1f} [{low:+.1f}, {high:+.1f}]", f"{found[f'{score}_p']:.3f}"]
        cells.append(", ".join(f"{100 * value:+.1f}" for value in found.get("ua_by_seed", {}).values()))
        print("| " + " | ".join(cells) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
