"""Results, metrics, effects and the environment as text for a terminal."""
