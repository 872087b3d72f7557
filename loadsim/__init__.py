"""Simulates thousands of EV charge points against a charging back-end over OCPP-J."""

__version__ = "0.4.0"
