"""Processes that simulate: one shard each, in a loop that does nothing else."""
