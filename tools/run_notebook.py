"""Run a notebook from top to bottom and save its outputs: python tools/run_notebook.py NOTEBOOK [COPY]."""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

file, copy = Path(sys.argv[1]), Path(sys.argv[-1])
notebook = nbformat.read(file, as_version=4)
NotebookClient(notebook, record_timing=False, resources={"metadata": {"path": file.parent}}).execute()
nbformat.write(notebook, copy)
