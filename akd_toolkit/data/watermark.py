"""The mark of scores that are not speaker-independent, behind the corpus's name in titles and tables."""

MARK = "NOT speaker-independent"
WATERMARK = (
    f"> **{MARK}.** The speakers of this corpus are unknown, so the same voice may be in training and in test. That "
    "alone raises scores, often by several points: do not quote these, or compare them with others. Counts of "
    "speakers are counts of utterances."
)


def marked(corpus: str, speakers_known: bool = True) -> str:
    """The corpus's name, with the mark if its speakers are unknown."""
    return corpus if speakers_known else f"{corpus} ({MARK})"


def is_marked(text: str) -> bool:
    """Whether a row of a written table has the mark."""
    return MARK in text
