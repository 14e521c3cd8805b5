"""Labelers that are programs: a fixed utility with noise, working over the public HTTP API. Always marked simulated."""
