"""Whether a score is what it says: the gate of every run, and the audit of experiments and of other people's splits."""

from akd_toolkit.audit.findings import Finding, Split, as_dict, as_text, has_leak, unproved
from akd_toolkit.audit.gate import audit

__all__ = ["Finding", "Split", "as_dict", "as_text", "audit", "has_leak", "unproved"]
