"""A long random run of the mirror in which everything dies that can."""
