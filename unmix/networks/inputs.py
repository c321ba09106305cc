"""What encoder and heads take in: the features of a batch, scaled, as far as they are known."""

from __future__ import annotations

import torch

SCALARS = 4  # level difference, source level, and whether each is known
SCORES = ("score", "source_score", "score_link")
AMPLITUDES = ("amplitudes", "source_amplitudes")
# {picture: what must be heard for it, beside the recording's log-mel}
PICTURES = {
    "mel": None,
    "source_mel": "source_mel",
    "stats": "stats",
    "transfer": "transfer",
    "shaped": "shaped",
    "link": "link",
    **dict.fromkeys(SCORES, "score"),
    **dict.fromkeys(AMPLITUDES, "amplitudes"),
}
OPTIONAL = tuple(dict.fromkeys(name for name in PICTURES.values() if name))
IN_DECIBELS = ("mel", "source_mel", "score", "source_score")
OF_SOURCE = (
    "source_mel",
    "transfer",
    "shaped",
    "link",
    "source_score",
    "score_link",
    "source_amplitudes",
)


def network_inputs(features: dict[str, torch.Tensor], inputs=OPTIONAL) -> dict[str, torch.Tensor]:
    """The pictures of a batch as the readers take them in: about 1 in size, 0 where not known.

    Args:
        heard: as ``features.extract`` gives it (batch B), with ``level_known`` (B,) beside; a
            picture that nobody reads may be missing.
        inputs: those of OPTIONAL that are heard; the others count as 0.

    Returns:
        PICTURES, each of the shape that it has in ``features``, and scalars (B, SCALARS).
    """
    known, level_known = features["known"], features["level_known"]
    pictures = {}
    for name, needs in PICTURES.items():
        if name not in features:
            continue
        picture = features[name]
        if name in IN_DECIBELS:
            picture = (picture + 40) / 20
        elif name == "stats":
            picture = picture / 10
        elif name == "transfer":
            picture = torch.cat([0.1 * picture[:, :1], picture[:, 1:]], 1)
        elif name in AMPLITUDES:
            picture = picture * 2
        if name in OF_SOURCE:
            picture = picture * known.view(-1, *[1] * (picture.ndim - 1))
        pictures[name] = picture if needs is None or needs in inputs else picture * 0
    difference = (features["level"] - features["source_level"]) * known * level_known
    pictures["scalars"] = torch.stack(
        [difference / 10, features["source_level"] * known / 20, known, level_known], -1
    )
    return pictures
