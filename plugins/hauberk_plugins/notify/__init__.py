"""Notification: who is told of an incident, durably, however the servers behave."""
