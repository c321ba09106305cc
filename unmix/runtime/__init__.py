"""Processes, threads, files and devices."""
