"""What an engineer runs on a gateway: install, status, doctor."""
