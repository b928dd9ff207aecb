"""Collective operations: the GPUs of one machine, or of several, compute together, and the results are exact or not."""
