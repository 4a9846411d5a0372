"""The toolkit's docstrings, in SpeechBrain's style, as griffe reads them: names of sections, and formulas as code."""

import re

import griffe

SECTIONS = {"Arguments": "Parameters", "Example": "Examples"}


class Docstrings(griffe.Extension):
    def on_object(self, *, obj: griffe.Object, **_) -> None:
        if obj.docstring is not None:
            obj.docstring.value = readable(obj.docstring.value)


def readable(text: str) -> str:
    """``text`` with griffe's names of sections; formulas are kept line by line.

    Example
    -------
    >>> print(readable("Half.\\n\\nloss = x / 2\\n\\nSource: nobody.\\nShape: [batch]."))
    Half.
    <BLANKLINE>
    ```
    loss = x / 2
    ```
    <BLANKLINE>
    **Source:** nobody.
    <BLANKLINE>
    **Shape:** [batch].
    """
    for ours, theirs in SECTIONS.items():
        text = re.sub(rf"^{ours}\n-+$", f"{theirs}\n{'-' * len(theirs)}", text, flags=re.M)
    text = re.sub(r"^Shape\n-+\n", "**Shape:** ", text, flags=re.M)
    text = re.sub(r"\n+^(Source|Shape):", r"\n\n**\1:**", text, flags=re.M)
    head, *sections = re.split(r"\n\n(?=\w[\w ]*\n---)", text, maxsplit=1)
    first, *others = head.split("\n\n")
    others = [f"```\n{part}\n```" if is_formula(part) else part for part in others]
    return "\n\n".join([first, *others, *sections])


def is_formula(paragraph: str) -> bool:
    """Whether every line that is not indented has an equals sign, and the first one begins with what is defined."""
    lines = [line for line in paragraph.splitlines() if not line.startswith(" ")]
    return bool(re.match(r"\w[^.]* = ", paragraph)) and all(" = " in line for line in lines) and "``" not in paragraph
