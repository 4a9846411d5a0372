"""Videos written for tests."""

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter


def write_video(path: Path, pictures, rate=25, codec="libx264", sound_s=0.0, sound=None) -> Path:
    """Pictures [height, width, 3], uint8 RGB, of even sizes, with ``sound``, or a tone, at 16 kHz."""
    if sound is None and sound_s:
        sound = 0.3 * np.sin(np.arange(int(16000 * sound_s)) / 16000 * 2 * np.pi * 220)
    av = pytest.importorskip("av", reason="needs the extra video")
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "bgr0" if codec == "ffv1" else "yuv420p"
        track = None if sound is None else file.add_stream("aac", rate=16000, layout="mono")
        for picture in pictures:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode(None))
        if track:
            frame = av.AudioFrame.from_ndarray(sound[None].astype(np.float32), format="fltp", layout="mono")
            frame.rate = 16000
            file.mux(track.encode(frame))
            file.mux(track.encode(None))
    return path


def moving_face(face: np.ndarray, number: int = 50, shape=(240, 320), seed=0) -> list[np.ndarray]:
    """Pictures over which a picture of a face, at most as high as they are, moves from left to right."""
    ground = np.random.default_rng(seed).integers(90, 110, (*shape, 3)).astype(np.uint8)
    high, wide = face.shape[:2]
    pictures = []
    for left in np.linspace(0, shape[1] - wide, number).astype(int):
        picture = ground.copy()
        picture[(shape[0] - high) // 2 :][:high, left : left + wide] = face
        pictures.append(picture)
    return pictures


def drawn_face(smile: float, side: int = 160) -> np.ndarray:
    """A drawn face [side, side, 3] that MTCNN finds, from -1 (sad) to 1 (happy)."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    picture = np.full((side, side, 3), 100.0)

    def paint(colour, cx, cy, wide, high, bend=0.0):
        """A rounded patch; ``bend`` pulls its ends up."""
        ends = bend * ((x - cx) / wide) ** 2
        patch = np.exp(-((((x - cx) / wide) ** 2 + ((y - cy + ends) / high) ** 2) ** 4))
        picture[:] += patch[..., None] * (np.array(colour) - picture)

    paint((60, 40, 30), 0, -0.15, 0.72, 0.85)  # hair
    paint((215, 170, 145), 0, 0.05, 0.62, 0.8)  # skin
    paint((190, 145, 125), 0, 0.2, 0.1, 0.22)  # nose
    for side_of in (-1, 1):
        paint((245, 245, 245), side_of * 0.27, -0.12, 0.15, 0.07)
        paint((40, 25, 20), side_of * 0.27, -0.12, 0.07, 0.07)
        paint((60, 40, 30), side_of * 0.27, -0.32, 0.19, 0.035)
        paint((150, 100, 90), side_of * 0.07, 0.3, 0.04, 0.03)
    paint((150, 50, 50), 0, 0.5 + 0.1 * smile, 0.32, 0.055, 0.25 * smile)
    return gaussian_filter(picture, (side / 90, side / 90, 0)).round().astype(np.uint8)
