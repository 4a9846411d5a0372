"""The mark of scores that are not speaker-independent, which titles and tables put behind the corpus's name."""

MARK = "NOT speaker-independent"
WATERMARK = (
    f"> **{MARK}.** Nobody has said who speaks in this corpus, so the same voice may be in training and in test. That "
    "alone raises scores, often by several points: do not quote these, or compare them with others. Where speakers "
    "are counted, utterances are meant."
)


def marked(corpus: str, speakers_known: bool = True) -> str:
    """The corpus's name, with the mark where nobody has said who speaks.

    Example
    -------
    >>> marked("Calls", speakers_known=False)
    'Calls (NOT speaker-independent)'
    """
    return corpus if speakers_known else f"{corpus} ({MARK})"


def is_marked(text: str) -> bool:
    """Whether a row of a written table carries the mark.

    Example
    -------
    >>> is_marked("Calls (NOT speaker-independent)"), is_marked("EmoDB")
    (True, False)
    """
    return MARK in text
