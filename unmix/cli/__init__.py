"""Everything that a terminal shows: commands, options, progress, tables."""
