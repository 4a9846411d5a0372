"""Put the rows that runs have left into the recipe's own results.csv and into the tables of its README.

    cd recipes/EmoDB && python ../../tools/publish_results.py results/results.csv
    cd recipes/EmoDB && python ../../tools/publish_results.py results/ablation/results.csv results/ablation

Rows that the runs did not make stay as they are. The folder in the second place holds an ablation's ablation.csv and
ablation.svg; an ablation is published whole: its rows replace all that were there.
"""

import shutil
import sys
from pathlib import Path

from akd_toolkit.evaluate.report.results import ABLATION, check_ablation, publish_results, read_results, sync_readme


def main(argv: list[str]) -> int:
    if len(argv) not in (1, 2):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        run = read_results(argv[0])
        if len(argv) == 2:
            check_ablation(Path(argv[1]) / "ablation.csv", argv[0])
            for name in ("ablation.csv", "ablation.svg"):
                shutil.copyfile(Path(argv[1]) / name, name)
        elif (run["recipe"] == ABLATION).any():
            raise ValueError(f"{argv[0]} has rows of an ablation; give the folder with its ablation.csv as well.")
        rows = publish_results("results.csv", run)
        sync_readme(Path("README.md"), Path("results.csv"))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{len(rows)} rows in results.csv and README.md")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
