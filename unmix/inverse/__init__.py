"""The network that hears a recording and says what made it."""
