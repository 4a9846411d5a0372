"""Released students on files and arrays (``EmotionRecognizer``) and on live sound (``StreamingRecognizer``)."""

from akd_toolkit.inference.recognizer import EmotionRecognizer
from akd_toolkit.inference.results import Moment, Recognition, Span
from akd_toolkit.inference.streaming import StreamingRecognizer

__all__ = ["EmotionRecognizer", "Moment", "Recognition", "Span", "StreamingRecognizer"]
