"""The embedded CSMS: a central system of OCPP-J 1.6 in a process of its own."""
