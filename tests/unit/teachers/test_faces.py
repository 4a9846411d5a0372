"""Which face is followed, and what is cut out around it."""

import numpy as np
import pytest

from akd_toolkit.teachers.faces import _square, largest_track, load_detector

WHITE = np.full((100, 200, 3), 255, np.uint8)


def follow(*boxes, rate=5.0):
    """Boxes of each picture -> number of the picture and place of the face in it, for the followed face."""
    given = iter(enumerate(boxes))
    number = 0

    def detect(picture):
        nonlocal number
        number, found = next(given)
        return np.array(found, dtype=float).reshape(-1, 4)

    found = largest_track(
        [WHITE] * len(boxes), rate, detect, lambda faces: np.array([[number, i] for i in range(len(faces))])
    )
    return None if found is None else found.tolist()


SMALL, LARGE = [0, 0, 20, 20], [100, 10, 160, 80]


def test_the_face_that_is_largest_in_sum_is_followed_wherever_it_is_listed():
    middle = [0, 0, 40, 40]
    assert follow([SMALL, LARGE], [LARGE, SMALL], [SMALL, LARGE]) == [[0, 1], [1, 0], [2, 1]]
    assert follow([middle], [middle], [middle, LARGE], [middle]) == [[0, 0], [1, 0], [2, 0], [3, 0]]
    assert follow([], [], []) is None and follow() is None


def test_two_faces_that_come_close_are_not_exchanged():
    pictures = [([60 - step, 0, 90 - step, 30], [60 + step, 20, 100 + step, 60]) for step in (20, 10, 5, 0, 5, 10, 20)]
    assert follow(*pictures) == [[number, 1] for number in range(7)]


def test_a_face_that_is_lost_for_less_than_a_second_is_the_same_face():
    assert len(follow([LARGE], [], [], [LARGE])) == 2
    assert len(follow([LARGE], *[[]] * 8, [LARGE])) == 1


def test_the_square_has_the_face_in_its_middle_and_repeats_pixels_beyond_the_edge():
    picture = np.arange(100 * 200).reshape(100, 200, 1).repeat(3, axis=2)
    square = _square(picture, np.array([50.0, 40.0, 70.0, 50.0]))  # 20 wide: 24 with the margin
    assert square.shape == (24, 24, 3) and square[12, 12, 0] == 45 * 200 + 60
    corner = _square(picture, np.array([0.0, 0.0, 10.0, 10.0]))
    assert corner.shape == (12, 12, 3) and (corner[:2, :2] == picture[0, 0]).all()


@pytest.mark.parametrize("shape", [(4, 4, 3), (20, 300, 3), (120, 160, 3)])
def test_pictures_without_a_face_have_none(shape):
    pytest.importorskip("facenet_pytorch", reason="needs the extra video")
    noise = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    detect = load_detector()
    assert detect(noise).shape == detect(np.zeros(shape, np.uint8)).shape == (0, 4)
