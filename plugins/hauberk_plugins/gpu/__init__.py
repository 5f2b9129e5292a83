"""Verifying batches on a GPU, with Numba CUDA."""
