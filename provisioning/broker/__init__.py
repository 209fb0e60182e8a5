"""The standalone broker's access: its dynamic-security plugin, and who was refused."""
