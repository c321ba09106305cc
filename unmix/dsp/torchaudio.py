"""torchaudio, also where its compiled extension cannot load.

The one torchaudio that fits the supported torch versions ships an extension linked against CUDA
libraries. On a machine without them ``import torchaudio`` fails, although the parts used here are
pure PyTorch. A stand-in for the extension module lets the import go on without it.
"""

import sys
import types

try:
    import torchaudio
except (OSError, RuntimeError, ImportError):
    for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
        del sys.modules[name]
    stand_in = types.ModuleType("torchaudio._extension")
    stand_in._IS_TORCHAUDIO_EXT_AVAILABLE = False
    stand_in.fail_if_no_align = lambda function: function
    sys.modules["torchaudio._extension"] = stand_in
    import torchaudio

__all__ = ["torchaudio"]
