"""Which samples have arrived, which are missing and which are lost. Pure."""
