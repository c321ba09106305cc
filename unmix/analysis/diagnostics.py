"""What a person should know of an answer, in plain English."""

from __future__ import annotations

import numpy as np

from unmix.audio.io import SAMPLE_RATE
from unmix.chain import Chain
from unmix.recording.judge import Judge
from unmix.runtime.workers import thread_map
from unmix.search.ranking import SOLVED

NOT_EXPLAINED_MSS = 1.0  # real distance above which the answer should not be trusted
CHECK_FACTOR, CHECK_OFFSET = 1.5, 0.1  # a check farther than that is remarked
STEADY_DB, CHANGING_DB = 6.0, 15.0  # spread over time of a noise floor at most, of sound at least
FRAME = SAMPLE_RATE // 20


def checks(problem, chain: Chain) -> list[dict[str, float]]:
    """Distance of an answer on the parts of a long recording (recording.prepare.Problem) that were
    not searched: {"start_s", "mss", "esr_db"} of each."""

    def check(part) -> dict[str, float]:
        judge = Judge(*part.sounds(), problem.match_gain, part.begin_s)
        mss, esr_db = judge.distance(chain), judge.esr_db(chain)
        return {"start_s": part.start / SAMPLE_RATE, "mss": mss, "esr_db": esr_db}

    return thread_map(check, problem.pair.others)


def on_answer(judge: Judge, found, parts: list[dict[str, float]]) -> list[str]:
    """Remarks on what a search found (search.refine.Refined) and on ``checks`` of it."""
    remarks = []
    if judge.inverted(found.chain):
        remarks.append(
            "The polarity of the recording is inverted (a cable or an input does that); it was "
            "compared as if it were not."
        )
    if (floor := noise_floor(judge, found.chain)) is not None:
        remarks.append(
            f"What the answer leaves unexplained is a steady noise at {floor:.0f} dBFS: a noise "
            "floor; record at a higher level if you can."
        )
    elif found.after > NOT_EXPLAINED_MSS:
        remarks.append(
            f"Not explained: the answer is still far from the recording (distance "
            f"{found.after:.2f}). Refine longer, or something else is in it: noise, an effect "
            "that is not known here, another source."
        )
    if found.timed_out and found.after > SOLVED:
        remarks.append(
            f"Time was up after {len(found.history)} steps of refine; more of it (--time) may lead "
            "nearer."
        )
    return remarks + (_on_checks(parts, found.after) if parts else [])


def noise_floor(judge: Judge, chain: Chain) -> float | None:
    """Level in dBFS of what a chain leaves unexplained, if that is as steady as a noise floor is
    while the recording itself changes; else None."""
    rest = (judge.target - judge.render(chain))[0].numpy()
    levels, loud = _frame_levels(rest), _frame_levels(judge.target[0].numpy())
    spreads = [np.subtract(*np.percentile(x, (95, 5))) for x in (levels, loud)]
    if spreads[0] > STEADY_DB or spreads[1] < CHANGING_DB or np.median(levels) < -90:
        return None
    return float(np.median(levels))


def _frame_levels(audio: np.ndarray) -> np.ndarray:
    frames = audio[: audio.size // FRAME * FRAME].reshape(-1, FRAME)
    return 10 * np.log10(np.mean(frames**2, 1) + 1e-12)


def _on_checks(parts: list[dict[str, float]], after: float) -> list[str]:
    worst = max(part["mss"] for part in parts)
    places = ", ".join(f"{part['start_s']:.1f}" for part in parts)
    remarks = [
        f"Checked on parts that were not searched, 4 s each from {places} s: distance "
        f"{worst:.3f} at most, {after:.3f} where it searched."
    ]
    if worst > CHECK_FACTOR * after + CHECK_OFFSET:
        remarks.append(
            "The answer holds less well there: settings moved in the course of the recording, or "
            "the rate of an LFO is not known well enough to tell where it stands later."
        )
    return remarks
