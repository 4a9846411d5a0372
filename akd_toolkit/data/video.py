"""Pictures of a video, a few per second, decoded by FFmpeg through PyAV, an extra."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from akd_toolkit.data.formats.containers import check_seconds, container_kind, open_container
from akd_toolkit.data.formats.pieces import DamagedError, ForeignError, named

SHORT_SIDE = 360  # pixels of the shorter side that pictures are reduced to
EARLY = 1e-3  # s that a frame may be early, because containers round times


class VideoError(ValueError):
    """A file that is not a video, or a damaged one."""


def read_pictures(path, pictures_per_s: float) -> Iterator[np.ndarray]:
    """Pictures of the first video track at a constant rate, upright, their shorter side at most 360 pixels.

    For each time 0, 1 / rate, 2 / rate, ... the first frame that begins then or later, and no frame twice; a video with
    fewer frames gives all of them.

    Arguments
    ---------
    path
        MP4, MOV, WebM, Matroska, AVI, FLV or WMV, recognised by its content, whatever it is called.
    pictures_per_s
        > 0.

    Yields [height, width, 3], RGB, uint8. FileNotFoundError if there is no such file; VideoError if it is not a video,
    has no video track, or is truncated or damaged.
    """
    if pictures_per_s <= 0:
        raise ValueError(f"pictures_per_s must be > 0, got {pictures_per_s}.")
    if not Path(path).is_file():
        raise FileNotFoundError(f"video {path} is not a file; check the path.")
    cure = "convert it with ffmpeg, or leave it out."
    with named(f"video {path}", cure, VideoError), open(path, "rb", buffering=0) as file:
        if (kind := container_kind(file)) is None:
            raise ForeignError("cannot be read as a video; MP4, MOV, WebM, Matroska, AVI and FLV can")
        with open_container(file, *kind) as container:
            yield from _pictures(container, kind[0], pictures_per_s)


def _pictures(container, name: str, rate: float) -> Iterator[np.ndarray]:
    from av.stream import Disposition

    tracks = [track for track in container.streams.video if not track.disposition & Disposition.attached_pic]
    if not tracks:
        raise ForeignError(f"is {name} without a video track")
    track = tracks[0]
    track.codec_context.thread_count = 1  # utterances run in parallel
    unit, first = float(track.time_base), track.start_time
    end, due, number = 0.0, 0.0, 0
    for packet in container.demux(track):
        if packet.is_corrupt:
            raise DamagedError("is truncated or damaged: a packet is not whole")
        at = packet.dts if packet.pts is None else packet.pts
        if at is not None:
            first = at if first is None else first
            end = max(end, (at + (packet.duration or 0) - first) * unit)
        for frame in packet.decode():
            # AVI stores no times, and FFmpeg guesses them in the order of decoding.
            counted = name == "AVI" or frame.pts is None
            time_s = number / float(track.average_rate) if counted else (frame.pts - first) * unit
            number += 1
            if time_s >= due - EARLY:
                due = (int((time_s + EARLY) * rate) + 1) / rate
                yield _upright(frame)
    if not number:
        raise DamagedError("is damaged: it holds no picture")
    check_seconds(end, track.duration and track.duration * unit)


def _upright(frame) -> np.ndarray:
    scale = min(1.0, SHORT_SIDE / min(frame.width, frame.height))
    small = frame.reformat(round(frame.width * scale), round(frame.height * scale), "rgb24")
    # A telephone held upright stores pictures on their side, with the angle beside them.
    return np.ascontiguousarray(np.rot90(small.to_ndarray(), frame.rotation // 90))
