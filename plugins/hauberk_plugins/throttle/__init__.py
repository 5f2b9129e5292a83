"""Pacing: several windows at once, first come first served."""
