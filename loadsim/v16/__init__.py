"""All of OCPP 1.6, and nothing else."""
