"""Training: one plain loop, and what is trained with it."""

from unmix.training.loop import FitConfig, FitResult, Task, fit

__all__ = ["FitConfig", "FitResult", "Task", "fit"]
