"""What to believe of a provider's figures: a stream may end without any, be cut before them, or lie.

An honest answer must cost nothing to believe: only where the bytes that passed leave room for a lie is its text looked at,
first a sample of it, and only where that is suspicious all of it and the prompt too.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from gateway.limits import estimate
from gateway.metering import readers
from gateway.metering.usage import Usage

LIE = 2.0  # how far below the estimate a figure may lie
SLACK = 64  # tokens of an answer by which a small estimate may be wrong
PROMPT_SLACK = 1024  # of a prompt: what one provider adds by itself another may not count
BYTES = 4.0  # of an answer's text for each token
PROMPT_BYTES = 3.0  # no less of a prompt's JSON makes a token
BINARY_BYTES = 40.0  # of an answer whose text is encoded: mostly its frames' wrapping
SAMPLE = 512  # bytes on either side of the middle
ENOUGH = 32  # bytes of text in a sample; less may have hit a part of the answer that is wrapping only
MARGIN = 1.5  # by which a sample may be sparser than the rest


def judged(reported: Usage | None, *, prompt: int, written: int, final: bool = True) -> Usage:
    """The provider's usage, or the larger of it and the estimate where there is reason to doubt.

    `prompt` are the tokens estimated before the call, `written` the bytes of text that came back, `final` whether the
    provider's last word on usage was heard.
    """
    output = -int(-written // BYTES)
    if reported is None:
        return Usage(input=prompt, output=output, estimated=True)
    more_output = max(0, output - reported.output)
    more_input = max(0, prompt - reported.prompt)
    cut = not final and more_output > 0
    lied = output > LIE * reported.output + SLACK
    understated = prompt > LIE * reported.prompt + PROMPT_SLACK
    if not (cut or lied or understated):
        return reported if final else replace(reported, estimated=True)
    return replace(
        reported,
        output=reported.output + (more_output if cut or lied else 0),
        input=reported.input + (more_input if understated else 0),
        estimated=True,
    )


def settled(
    reported: Usage | None,
    *,
    request: bytes,
    model: str,
    provider: str,
    answer: Sequence[bytes],
    final: bool = True,
    binary: bool = False,
) -> Usage:
    """What to charge for an answer of which these bytes passed; `binary` where its text cannot be read in them."""
    whole = b"".join(answer)
    if reported is not None and final and not _suspicious(reported, len(request), whole, binary=binary):
        return reported
    text = int(len(whole) * BYTES / BINARY_BYTES) if binary else readers.written(whole)
    # Vertex counts less: nobody is said to lie for what only Gemini's own API counts.
    counting = provider if reported is None else "vertex"
    prompt = estimate.prompt(request, model, provider=counting)
    return judged(reported, prompt=prompt, written=text, final=final)


def _suspicious(reported: Usage, request: int, answer: bytes, *, binary: bool) -> bool:
    if reported.estimated:
        return False
    doubtful = request / PROMPT_BYTES - PROMPT_SLACK
    if doubtful > 0 and doubtful > LIE * reported.prompt:
        return True
    believed = BYTES * (LIE * reported.output + SLACK)
    if binary or len(answer) <= believed:
        return False
    middle = len(answer) // 2
    sample = answer[max(0, middle - SAMPLE) : middle + SAMPLE]
    text = readers.written(sample)
    return text < ENOUGH or MARGIN * text / len(sample) * len(answer) > believed
