"""Put the rows that runs have left into the recipe's own results.csv and into the table of its README.

    cd recipes/EmoDB && python ../../tools/publish_results.py results/results.csv
"""

import shutil
import sys
from pathlib import Path

from akd_toolkit.report import read_results, sync_readme


def main(argv: list[str]) -> int:
    if len(argv) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        rows = read_results(argv[0])
        shutil.copyfile(argv[0], "results.csv")
        sync_readme(Path("README.md"), Path("results.csv"))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{len(rows)} rows in results.csv and README.md")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
