"""Clients that are measured beside each other: `python -m benchmarks.peers.NAME URL N CALLS`.

Each is a process of its own, opens N connections, boots on each, and calls Heartbeat in a closed loop: the next as
soon as the last is answered. It is led through its phases by lines (benchmarks/peers/phases.py), so that whoever
leads it can read its CPU and memory from outside, in between.
"""
