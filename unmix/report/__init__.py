"""Pages and pictures of a result and of an evaluation."""
