"""Who may log in: users, passwords, second factors, and how often one may try."""
