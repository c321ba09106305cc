"""The proxies of the effects: torch is imported here, not where knobs and DSP are."""
