"""OCPP-J without I/O: frames, the table of actions, and the RPC state machine."""
