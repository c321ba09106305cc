"""Pages and plots of a result and of an evaluation."""
