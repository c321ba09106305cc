"""Signal processing that torch lacks or does slowly: losses, spectra, convolution, envelopes."""
