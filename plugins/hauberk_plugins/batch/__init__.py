"""Verifying millions of signatures: columns in, verdicts out."""
