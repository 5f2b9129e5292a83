"""The plugins that come with Hauberk, a folder each."""
