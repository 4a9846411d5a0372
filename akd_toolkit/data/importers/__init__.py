"""Corpora that the toolkit does not know, read by names of files or from a table: what ``akd new-recipe`` uses."""
