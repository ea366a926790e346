"""A grid of runs as one named sweep: read from a file, planned, and run one after the other."""
