"""Leak checks of experiments and of split files from elsewhere."""

from akd_toolkit.data.verdicts import Finding, Split, as_dict, as_text, has_leak, unproved

__all__ = ["Finding", "Split", "as_dict", "as_text", "has_leak", "unproved"]
