"""Trading hours and blackout dates, by account: a plugin for Hauberk."""
