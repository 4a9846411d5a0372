"""Releasing a student and getting it back: bundles, model cards, download and upload. Nothing foreign is executed."""

from akd_toolkit.inference.bundle import DamagedFile, check_bundle, is_bundle
from akd_toolkit.inference.download import resolve_source
from akd_toolkit.inference.folder import check_folder

__all__ = ["DamagedFile", "check_bundle", "check_folder", "is_bundle", "resolve_source"]
