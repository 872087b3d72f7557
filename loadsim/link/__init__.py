"""A connection that carries OCPP-J: the only I/O of a charge point."""
