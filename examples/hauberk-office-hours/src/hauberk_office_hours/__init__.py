"""Who may log in from where, and when: a plugin for Hauberk."""
