"""Released students at work: on files and arrays (``EmotionRecognizer``), and on live sound (``StreamingRecognizer``).

>>> sorted(__all__)
['EmotionRecognizer', 'Moment', 'Recognition', 'Span', 'StreamingRecognizer']
"""

from akd_toolkit.inference.recognition import Recognition
from akd_toolkit.inference.recognizer import EmotionRecognizer
from akd_toolkit.inference.streaming import StreamingRecognizer
from akd_toolkit.inference.timeline import Moment, Span

__all__ = ["EmotionRecognizer", "Moment", "Recognition", "Span", "StreamingRecognizer"]
