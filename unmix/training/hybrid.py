"""The second stage of training: a spectral term through the proxies."""

from __future__ import annotations

import numpy as np
import torch

from unmix.audio.io import SAMPLE_RATE
from unmix.chain import proxy_render
from unmix.data.chains import ChainSampler
from unmix.dsp.losses import mss
from unmix.errors import UnmixError
from unmix.features import spectra
from unmix.networks.model import InverseModel
from unmix.training.datasets import ChainData

HYBRID = "hybrid"


def half_on_cpu(device: str) -> torch.autocast:
    """bfloat16 convolutions where the processor has instructions for them (about twice as fast)."""
    fast = torch.device(device).type == "cpu" and torch.cpu._is_avx512_bf16_supported()
    return torch.autocast("cpu", torch.bfloat16, enabled=fast)


class SpectralTerm:
    """The spectral part of the hybrid loss: MSS between recordings and what the proxies make of
    the network's knobs, with the true chain and switches.

    One family is rendered again from its seed at each call: the data set holds no audio.

    Args:
        configs: of the data sets, in their order; all of the same effects.
        seconds: length of the excerpt that is compared.

    Raises:
        UnmixError: a configuration that this program would not make; no weights of a proxy.
    """

    def __init__(self, configs: list[dict], seconds: float = 2.0, device: str = "cpu"):
        from unmix.weights import load_proxy

        self.samplers = [ChainSampler.from_config(config) for config in configs]
        if any(s.config != config for s, config in zip(self.samplers, configs, strict=True)):
            raise UnmixError(
                "the data are of another version, whose sound cannot be rendered again for the "
                "spectral term; make them again with gen-data, or train with --hybrid-steps 0"
            )
        self.proxies = {name: load_proxy(name, device) for name in self.samplers[0].effects.names}
        self.samples = round(seconds * SAMPLE_RATE)
        self.device = device

    def __call__(self, model: InverseModel, data: ChainData, item: int, rng) -> torch.Tensor:
        """Mean MSS over the family of an item, on one excerpt of ``seconds``; differentiable.

        The proxies render the source from its beginning: envelopes and tails need their past.
        """
        n, row = data.place(item)
        family, member = divmod(row, self.samplers[n].family_size)
        source, pairs = self.samplers[n].audio_family(family)
        indices = item - member + np.arange(len(pairs))
        batch = data.batch(indices, self.device)
        with half_on_cpu(self.device):
            _, mixtures = model.knob_losses(model.network_inputs(batch), batch)
        knobs, switches = (
            {name: batch[f"{kind}.{name}"] for name in model.effects.names}
            for kind in ("knobs", "switches")
        )
        for name, (rows, mixture) in mixtures.items():
            knobs[name] = knobs[name].index_copy(0, rows, mixture.centre())
        end = int(rng.integers(self.samples, spectra.WINDOW + 1))
        dry = torch.from_numpy(source[:end]).to(self.device).expand(len(pairs), -1)
        recordings = torch.from_numpy(np.stack([wet[:end] for _, wet in pairs])).to(self.device)
        answer = proxy_render(self.proxies, dry, batch["order"], knobs, switches)
        excerpt = slice(end - self.samples, end)
        return mss(answer[:, excerpt], recordings[:, excerpt]).mean()
