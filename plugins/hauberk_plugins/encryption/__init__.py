"""Encryption: seals what is kept, under data keys that a wrapping key protects."""
