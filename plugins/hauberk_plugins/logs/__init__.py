"""Logs of what the kernel and the plugins tell, with secrets masked."""
