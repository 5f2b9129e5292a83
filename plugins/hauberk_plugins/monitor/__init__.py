"""Watching: rules over events, as data."""
