"""One budget for several processes: the ledger, where it is kept, and what to do without it."""
