"""The SHA-2 rounds, written once: for vectors, for threads, and for plain integers.

No plugin stands here: it is what the CPU's and the GPU's engines share.
"""
