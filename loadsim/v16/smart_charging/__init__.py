"""Smart charging (OCPP 1.6, section 3.13): profiles kept, stacked, told as a schedule, and in force."""
