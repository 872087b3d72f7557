"""One charge point, whatever version of OCPP it speaks."""
