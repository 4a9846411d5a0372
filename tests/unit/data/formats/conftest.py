"""Sound files made in memory, of every format and with every fault."""

import io

import numpy as np
import pytest
import soundfile

from akd_toolkit.data.reader import open_sound_file


@pytest.fixture
def samples():
    """``samples(num_samples, channels)``: noise as 16-bit PCM, so that formats without loss give it back exactly."""

    def make(num_samples=20000, channels=1, seed=0):
        shape = num_samples if channels == 1 else (num_samples, channels)
        return np.random.default_rng(seed).integers(-8000, 8000, shape).astype(np.int16)

    return make


@pytest.fixture
def encoded(samples):
    """``encoded("WAV")``: the bytes of a file of any format that libsndfile writes."""

    def make(kind, pcm=None, rate=16000, subtype=None, **options):
        buffer = io.BytesIO()
        soundfile.write(buffer, samples() if pcm is None else pcm, rate, format=kind, subtype=subtype, **options)
        return buffer.getvalue()

    return make


@pytest.fixture
def encoded_by_ffmpeg(samples):
    """``encoded_by_ffmpeg("mp4", "aac")``: the bytes of a file of any container that PyAV writes."""
    av = pytest.importorskip("av")
    frame_sizes = {"libopus": 960, "aac": 1024, "flac": 4096, "alac": 4096, "libmp3lame": 1152}

    def make(container, codec, pcm=None, rate=16000, pipe=False, **options):
        pcm = samples() if pcm is None else pcm
        layout = "mono" if pcm.ndim == 1 else "stereo"
        buffer = Pipe() if pipe else io.BytesIO()
        with av.open(buffer, "w", format=container, options=options) as file:
            stream = file.add_stream(codec, rate=rate, layout=layout)
            size = frame_sizes.get(codec, 1024) // (2 if codec == "libmp3lame" and rate < 32000 else 1)
            sample_format = stream.codec_context.codec.audio_formats[0].name
            resampler = av.AudioResampler(sample_format, layout, rate, frame_size=size)
            frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout=layout)
            frame.sample_rate = rate
            frames = [*resampler.resample(frame), *resampler.resample(None), None]
            for packet in [packet for frame in frames for packet in stream.encode(frame)]:
                if packet.size:
                    file.mux(packet)
        return buffer.getvalue()

    return make


class Pipe:
    """A file that cannot go back."""

    written = b""

    def write(self, data):
        self.written += bytes(data)
        return len(data)

    def getvalue(self):
        return self.written


@pytest.fixture
def read():
    """``read(bytes)``: all samples of a file, [samples] or [samples, channels], as libsndfile scales them."""

    def make(source, start=0, stop=None):
        with open_sound_file(source, "the sound") as sound:
            blocks = np.concatenate(list(sound.blocks(start, stop)))
            assert stop is not None or len(blocks) == sound.num_samples - start
            return blocks.squeeze(axis=1) if sound.channels == 1 else blocks

    return make
