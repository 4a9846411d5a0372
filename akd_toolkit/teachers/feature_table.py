"""Features that somebody computed beforehand: one row of a table for each utterance."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from akd_toolkit.data.manifest import Utterance
from akd_toolkit.registry import TEACHERS
from akd_toolkit.teachers.base import Teacher, file_hash


@TEACHERS.register("feature_table")
class FeatureTable(Teacher):
    """A row of numbers for each utterance, [1, columns], from a CSV or Parquet file: OpenFace, Praat, any embeddings.

    An utterance without a row is masked. Columns must not hold labels, or what was fitted on them: a table does not
    tell.

    Source: none; the table's own.

    Arguments
    ---------
    source
        The file; ``.parquet`` needs pyarrow.
    id_column, match
        Column with the utterances' IDs, and what it is compared with: ``id``, the ID in the manifest, or ``stem``, the
        name of the sound file without its ending.
    columns
        Columns that are used; null means all others than ``id_column``.

    FileNotFoundError without the file; ValueError for a column that is missing, not of numbers or has a gap, or an ID
    that occurs twice.

    Example
    -------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "faces.csv"
    >>> _ = path.write_text("id,smile,frown\\na1,0.5,0\\n")
    >>> row = Utterance("a1", "/a1.wav", 0, 16000, 1.0, speaker="A", emotion="joy")
    >>> FeatureTable(path).features(row)
    array([[0.5, 0. ]], dtype=float32)
    """

    name = "feature_table"
    modality = "table"
    version = 1
    num_layers = 1

    def __init__(self, source: str, id_column: str = "id", match: str = "id", columns: list[str] | None = None):
        if match not in ("id", "stem"):
            raise ValueError(f"match must be id or stem, got '{match}'.")
        self.path = Path(source).expanduser()
        if not self.path.is_file():
            raise FileNotFoundError(f"feature table {source} does not exist; give a CSV or Parquet file.")
        self.title, self.match = self.path.stem, match
        self.id_column, self.columns = id_column, None if columns is None else tuple(columns)
        self._rows, self._values = _read(self.path, id_column, self.columns, file_hash([self.path]))
        self.feature_dim = self._values.shape[1]

    def identity(self) -> dict:
        options = {"id_column": self.id_column, "match": self.match, "columns": self.columns}
        return {"table": file_hash([self.path]), **options}

    def features(self, utterance: Utterance) -> np.ndarray | None:
        row = self._rows.get(utterance.id if self.match == "id" else Path(utterance.wav).stem)
        return None if row is None else self._values[row][None].copy()


@lru_cache(maxsize=8)  # a teacher is built several times in a run
def _read(path: Path, id_column: str, columns: tuple[str, ...] | None, _) -> tuple[dict[str, int], np.ndarray]:
    """ID -> row, and the numbers [rows, columns] float32."""
    try:
        parquet = path.suffix.lower() == ".parquet"
        table = pd.read_parquet(path) if parquet else pd.read_csv(path, dtype={id_column: str}, low_memory=False)
    except ImportError:
        raise ImportError(f"feature table {path} is Parquet, which needs pyarrow; pip install pyarrow.") from None
    except (ValueError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"feature table {path} cannot be read ({reason}); give a CSV or Parquet file.") from None
    wanted = [name for name in table.columns if name != id_column] if columns is None else list(columns)
    missing = [name for name in (id_column, *wanted) if name not in table.columns]
    if missing or not wanted:
        raise ValueError(
            f"feature table {path} has no column '{missing[0] if missing else 'of numbers'}'; it has "
            f"{', '.join(map(str, table.columns[:8]))}. Name the IDs in id_column and others in columns."
        )
    ids, numbers = table[id_column].astype(str), table[wanted]
    if twice := ids[ids.duplicated()].tolist():
        raise ValueError(f"feature table {path} has several rows of '{twice[0]}'; keep one row for each utterance.")
    for name in numbers:
        if not pd.api.types.is_numeric_dtype(numbers[name]):
            raise ValueError(f"feature table {path}: column '{name}' does not hold numbers; leave it out by 'columns'.")
    values = numbers.to_numpy(dtype=np.float32)
    for row, column in np.argwhere(~np.isfinite(values)):
        raise ValueError(
            f"feature table {path}: '{ids.iloc[row]}' has no finite number in column '{wanted[column]}'; fill it in, "
            "or delete the row to mask the utterance."
        )
    return {name: row for row, name in enumerate(ids)}, values
