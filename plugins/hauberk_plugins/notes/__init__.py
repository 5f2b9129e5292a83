"""Signed notes: the form in which the audit's checkpoints and recovery points are vouched for.

No plugin stands here: it is what the two share.
"""
