"""Masks on the features that the network trains on, so that it uses all the evidence.

After Park et al., "SpecAugment: A Simple Data Augmentation Method for Automatic Speech
Recognition", Interspeech 2019, without the warping of time; here whole inputs are left out too.
"""

from __future__ import annotations

import torch

from unmix.features.spec import FEATURES, GROUPS, of_group

WIDEST = 0.25  # of a mask, as a share of the whole time or of all bands
LEFT_OUT = tuple(of_group(group) for group in GROUPS if group != "source_mel")


def mask(batch: dict, share: float) -> dict:
    """A batch of features in which a share of the items is masked, drawn by torch's generator.

    Each such item loses a stretch of time, the same in all of its features, a stretch of frequency
    in each of them, and, six times of seven, one of LEFT_OUT as a whole.

    Args:
        batch: as ``ChainData.batch`` gives it, before source dropout.
        share: of the items, 0…1.

    Returns:
        The batch with new tensors in the place of those that are masked. What is masked reads 0
        where the encoder takes it in.
    """
    count, device = len(batch["known"]), batch["known"].device
    chosen = torch.rand(count, device=device) < share

    def stretch() -> tuple[torch.Tensor, torch.Tensor]:
        width = chosen * WIDEST * torch.rand(count, device=device)
        start = (1 - width) * torch.rand(count, device=device)
        return start, start + width

    def kept(begin, end, length: int) -> torch.Tensor:
        places = (torch.arange(length, device=device) + 0.5) / length
        return (places < begin[:, None]) | (places >= end[:, None])

    time = stretch()
    group_of = torch.randint(len(LEFT_OUT) + 1, (count,), device=device)
    result = dict(batch)
    for feature in FEATURES:
        name = feature.name
        if name not in batch:
            continue
        values = batch[name]
        shape = values.shape
        values = values.reshape(count, *(feature.grid or feature.shape))
        keeps = []
        for dimension, span in zip(feature.axes, (time, stretch()), strict=True):
            if dimension is not None:
                along = [1] * values.ndim
                along[0], along[dimension] = count, values.shape[dimension]
                keeps.append(kept(*span, values.shape[dimension]).reshape(along))
        for number, group in enumerate(LEFT_OUT):
            if name in group:
                left_out = chosen & (group_of == number)
                keeps.append(~left_out.reshape(-1, *[1] * (values.ndim - 1)))
        silence = feature.stored.zero if feature.stored else 0.0
        for keep in keeps:
            values = torch.where(keep, values, silence)
        result[name] = values.reshape(shape)
    return result
