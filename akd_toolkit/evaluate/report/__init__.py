"""Reports: scores of a system, comparisons, tables, plots, and the pages made of them."""
