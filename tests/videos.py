"""Videos written for tests."""

from pathlib import Path

import numpy as np
import pytest


def write_video(path: Path, pictures, rate=25, codec="libx264", sound_s=0.0) -> Path:
    """Pictures [height, width, 3], uint8 RGB, of even sizes, and a tone of ``sound_s`` seconds."""
    av = pytest.importorskip("av", reason="needs the extra video")
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "bgr0" if codec == "ffv1" else "yuv420p"
        sound = file.add_stream("aac", rate=16000, layout="mono") if sound_s else None
        for picture in pictures:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode(None))
        if sound:
            tone = (0.3 * np.sin(np.arange(int(16000 * sound_s)) / 16000 * 2 * np.pi * 220)).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(tone[None], format="fltp", layout="mono")
            frame.rate = 16000
            file.mux(sound.encode(frame))
            file.mux(sound.encode(None))
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
