"""Keys: references in `hauberk.yml` become credentials, as late as possible."""
