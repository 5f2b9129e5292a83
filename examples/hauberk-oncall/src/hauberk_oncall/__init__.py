"""Pages whoever is on call: a plugin for Hauberk."""
