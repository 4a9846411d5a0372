"""Releasing a student and getting it back: bundles, model cards, download and upload. Nothing foreign is executed."""

from akd_toolkit.hub.bundle import DamagedFile, check_bundle, is_bundle
from akd_toolkit.hub.download import resolve_source

__all__ = ["DamagedFile", "check_bundle", "is_bundle", "resolve_source"]
