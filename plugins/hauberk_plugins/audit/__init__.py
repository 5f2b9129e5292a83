"""Evidence: a log that nobody rewrites unseen."""
