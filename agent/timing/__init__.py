"""What time it is: the machine's clocks, who vouches for them, and dates for samples taken without them."""
