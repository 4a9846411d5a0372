"""Released students at work: on files and arrays (``EmotionRecognizer``), and on live sound (``StreamingRecognizer``).

>>> sorted(__all__)
['EmotionRecognizer', 'Moment', 'Recognition', 'Span', 'StreamingRecognizer']
"""

from akd_toolkit.recognizer.recognition import Recognition
from akd_toolkit.recognizer.recognizer import EmotionRecognizer
from akd_toolkit.recognizer.streaming import StreamingRecognizer
from akd_toolkit.recognizer.timeline import Moment, Span

__all__ = ["EmotionRecognizer", "Moment", "Recognition", "Span", "StreamingRecognizer"]
