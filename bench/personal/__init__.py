"""Made-up personal data and what only looks like it, for the benchmark of the detector."""
