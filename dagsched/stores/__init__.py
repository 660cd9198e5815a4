"""What survives a crash: one contract, several engines."""
