"""The training race: one masked net trained by kerastickets, PyTorch and JAX, each at its best, in turns.

`kt doctor --bench` runs it on the user's machine with what is installed there; `benchmarks/training.py` with all.
"""
