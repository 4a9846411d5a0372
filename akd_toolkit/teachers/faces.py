"""Faces in the pictures of a video: found by MTCNN, and the largest one followed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

SMALLEST = 0.1  # a face's shorter side, as a share of the picture's
LEAST = 20  # pixels, of a face that MTCNN can find
SURE = 0.9  # probability of a face
OVERLAP = 0.1  # intersection over union of the same face in two pictures
GAP_S = 1.0  # a face may be lost for that long
MARGIN = 0.2  # of the box's longer side, around the face


@dataclass
class _Track:
    box: np.ndarray
    time_s: float
    size: float = 0.0  # sum of the boxes' areas
    outputs: list[np.ndarray] = field(default_factory=list)


def load_detector(device: str = "cpu"):
    """A function from a picture [height, width, 3] to its faces [n, 4]: left, top, right and bottom in pixels.

    Source: Zhang, Zhang, Li & Qiao 2016 (MTCNN), by the package ``facenet-pytorch``, which holds the weights.
    """
    from facenet_pytorch import MTCNN

    network = MTCNN(keep_all=True, device=device).eval().requires_grad_(False)

    def detect(picture: np.ndarray) -> np.ndarray:
        side = min(picture.shape[:2])
        network.min_face_size = max(LEAST, round(SMALLEST * side))
        boxes, sure = network.detect(picture) if side >= LEAST else (None, None)
        if boxes is None:
            return np.empty((0, 4))
        return np.asarray(boxes, dtype=float)[np.asarray(sure, dtype=float) >= SURE]

    return detect


def largest_track(
    pictures: Iterable[np.ndarray],
    pictures_per_s: float,
    detect: Callable[[np.ndarray], np.ndarray],
    describe: Callable[[list[np.ndarray]], np.ndarray],
) -> np.ndarray | None:
    """Outputs [pictures with the face, D] of the face whose boxes are largest in sum, or None without any face.

    A box continues the track whose last box, at most a second ago, it overlaps most. Pictures are not kept, so that
    memory does not grow with the video. ``describe``: squares [side, side, 3] around the faces of a picture -> [n, D].

    Example
    -------
    >>> boxes = iter([[[0, 0, 4, 4], [6, 6, 9, 9]], [[1, 0, 5, 4]], [[6, 6, 9, 9], [2, 0, 6, 4]]])
    >>> where = [np.full((9, 9, 3), value) for value in (10, 20, 30)]
    >>> mean = lambda faces: np.array([[face.mean(), len(face)] for face in faces])
    >>> largest_track(where, 5.0, lambda picture: np.array(next(boxes), dtype=float), mean).tolist()
    [[10.0, 5.0], [20.0, 5.0], [30.0, 5.0]]
    """
    tracks: list[_Track] = []
    for number, picture in enumerate(pictures):
        boxes = detect(picture)
        if not len(boxes):
            continue
        time_s = number / pictures_per_s
        active = [track for track in tracks if time_s - track.time_s <= GAP_S + 1 / pictures_per_s]
        outputs = describe([_square(picture, box) for box in boxes])
        for box, output, track in zip(boxes, outputs, _continued(active, boxes)):
            if track is None:
                tracks.append(track := _Track(box, time_s))
            track.box, track.time_s = box, time_s
            track.size += float(np.prod(box[2:] - box[:2]))
            track.outputs.append(output)
    return np.stack(max(tracks, key=lambda track: track.size).outputs) if tracks else None


def _continued(tracks: list[_Track], boxes: np.ndarray) -> list[_Track | None]:
    """For each box the track that it continues, so that the sum of all overlaps is greatest."""
    overlaps = np.array([[_overlap(track.box, box) for track in tracks] for box in boxes]).reshape(len(boxes), -1)
    pairs = zip(*linear_sum_assignment(-overlaps))
    found = {row: tracks[column] for row, column in pairs if overlaps[row, column] >= OVERLAP}
    return [found.get(row) for row in range(len(boxes))]


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    common = np.prod(np.maximum(0, np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])))
    return float(common / (np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]) - common))


def _square(picture: np.ndarray, box: np.ndarray) -> np.ndarray:
    """A square around a face; beyond the picture's edge its last pixels are repeated."""
    side = max(1, round((1 + MARGIN) * float((box[2:] - box[:2]).max())))
    left, top = np.round((box[:2] + box[2:] - side) / 2).astype(int)
    height, width = picture.shape[:2]
    rows, columns = (np.clip(start + np.arange(side), 0, end - 1) for start, end in ((top, height), (left, width)))
    return picture[rows[:, None], columns]
