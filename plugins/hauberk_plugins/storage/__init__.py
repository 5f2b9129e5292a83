"""Storage: records in SQLite or PostgreSQL, and the same sealed on their way."""
