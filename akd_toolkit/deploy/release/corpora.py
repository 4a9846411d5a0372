"""Terms of speech corpora for model cards, with their sources, and the default licence of a student. Not legal advice.

Whether the terms of speech bind a model trained on it is not settled, so by default a student is released under terms
no freer than those of its corpora.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from akd_toolkit.teachers.provenance import names_corpus

UNKNOWN = "unknown: ask its owner"
IDENTIFIERS = (  # common licences of the hub; any other is written as "other" with a name
    *("apache-2.0", "mit", "bsd-3-clause", "gpl-3.0", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0"),
    *("cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0", "odbl", "openrail"),
)
FREEST_LAST = ("cc-by-nc-sa-4.0", "odbl", "cc-by-4.0", "apache-2.0")


@dataclass(frozen=True)
class Terms:
    """How a corpus may be used: its licence in words, and the source of this information.

    ``student`` is the default licence of a student, None where the owner of an agreement must decide; ``language`` an
    ISO 639-1 code; ``speech`` the kind of speech.
    """

    licence: str
    source: str
    student: str | None = None
    language: str = ""
    speech: str = ""


LDC = Terms("agreement with the Linguistic Data Consortium", "https://catalog.ldc.upenn.edu")
VOXCELEB = Terms(
    "list of videos CC BY 4.0; the sound belongs to whoever published it",
    "https://www.robots.ox.ac.uk/~vgg/data/voxceleb",
)
KNOWN = {
    "EmoDB": Terms(
        "free to use, no licence text in the original; audEERING's package of the same files says CC0 1.0",
        "Burkhardt et al. 2005, doi 10.21437/Interspeech.2005-446; audb, emodb",
        "apache-2.0",
        "de",
        "ten German sentences acted in a studio by ten actors",
    ),
    "RAVDESS": Terms(
        "CC BY-NC-SA 4.0; commercial licences are sold",
        "Livingstone & Russo 2018, doi 10.5281/zenodo.1188976",
        "cc-by-nc-sa-4.0",
        "en",
        "two English sentences acted in a studio by 24 actors",
    ),
    "CREMA-D": Terms(
        "Open Database License 1.0, contents under the Database Contents License 1.0",
        "https://github.com/CheyneyComputerScience/CREMA-D",
        "odbl",
        "en",
        "twelve English sentences acted by 91 actors",
    ),
    "IEMOCAP": Terms(
        "agreement with the University of Southern California, for research",
        "https://sail.usc.edu/iemocap",
        language="en",
        speech="English dialogues acted or improvised by ten actors",
    ),
    "MSP-Podcast": Terms(
        "agreement with the University of Texas at Dallas",
        "https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Podcast.html",
        language="en",
        speech="English podcasts",
    ),
    "generated": Terms(
        "made by this toolkit: no recordings", "akd_toolkit", "apache-2.0", speech="tones and noise, not speech"
    ),
    "LibriSpeech": Terms("CC BY 4.0", "https://www.openslr.org/12", "cc-by-4.0", "en"),
    "Libri-Light": Terms(
        "public domain, as LibriVox", "https://github.com/facebookresearch/libri-light", language="en"
    ),
    "CommonVoice": Terms("CC0 1.0", "https://commonvoice.mozilla.org"),
    "VoxPopuli": Terms("CC0 1.0", "https://github.com/facebookresearch/voxpopuli"),
    "MLS": Terms("CC BY 4.0", "https://www.openslr.org/94"),
    "VoxCeleb1": VOXCELEB,
    "VoxCeleb2": VOXCELEB,
    "Switchboard": LDC,
    "Fisher": LDC,
    "BABEL": LDC,
}


def terms_of(corpus: str) -> Terms | None:
    """Terms of a corpus, whatever the spelling of its name; None if unknown.

    Example
    -------
    >>> terms_of("crema_d").student, terms_of("Calls of our hotline") is None
    ('odbl', True)
    """
    return next((terms for known, terms in KNOWN.items() if names_corpus([known], corpus)), None)


def student_licence(corpora: Iterable[str]) -> str:
    """Licence of a student that was trained on these corpora: that of the least free one.

    ValueError if the terms of one are unknown, or an agreement that its signer must read.

    Example
    -------
    >>> student_licence(["EmoDB"]), student_licence(["EmoDB", "RAVDESS"])
    ('apache-2.0', 'cc-by-nc-sa-4.0')
    """
    found = set()
    for corpus in corpora:
        terms = terms_of(corpus)
        if terms is None:
            raise ValueError(f"the terms of {corpus} are {UNKNOWN}, then choose a licence with --licence.")
        if terms.student is None:
            raise ValueError(
                f"{corpus} comes under an {terms.licence} ({terms.source}): read what it says about trained models, "
                "then choose a licence with --licence."
            )
        found.add(terms.student)
    return min(found, key=FREEST_LAST.index)
