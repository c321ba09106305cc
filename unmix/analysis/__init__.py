"""From a recording to a result: the front door ``analyze``, diagnostics, sensitivity."""
