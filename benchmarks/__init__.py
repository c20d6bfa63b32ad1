"""One module per question; each has `run()`, which prints a table and returns its figures."""
