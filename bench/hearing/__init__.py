"""Measures what people hear: sources that can be recognised, real publishers, real ears, and the comparison of both.

Positions in sound are samples or seconds; times are seconds of CLOCK_MONOTONIC, the one clock of all processes here.
"""
