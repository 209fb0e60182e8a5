"""How a truck gets its first certificate and the next ones."""
