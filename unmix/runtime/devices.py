"""Where torch may run."""

from __future__ import annotations

from unmix.errors import UnmixError

KINDS = ("cpu", "cuda", "mps", "xpu")


def check(name: str) -> None:
    """UnmixError with a way out unless tensors can live on the device of that name."""
    import torch

    try:
        device = torch.device(name)
        if device.type not in KINDS:
            raise RuntimeError
    except RuntimeError:
        raise UnmixError(f"no device {name!r}; use cpu, cuda or cuda:1") from None
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):  # torch asserts that it was built for a device
        kind = device.type.upper()
        known = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
        raise UnmixError(
            f"device {name!r} is not there: torch {torch.__version__} finds "
            f"{', '.join(['cpu', *known])} (a {kind} device wants its driver and a torch built "
            "for it; unmix env shows what there is)"
        ) from None
