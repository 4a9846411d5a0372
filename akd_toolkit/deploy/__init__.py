"""From a trained student to files on a device: export, compression, benchmark, release."""
