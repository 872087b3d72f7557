"""From a YAML file to a plan that workers can follow."""
