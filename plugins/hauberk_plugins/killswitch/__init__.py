"""Stopping what must stop, at once and for everybody."""
