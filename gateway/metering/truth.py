"""What to believe of a provider's figures: a stream may end without any, be cut before them, or lie."""

from __future__ import annotations

from dataclasses import replace

from gateway.metering.usage import Usage

LIE = 2.0  # how far below the estimate a figure may lie
SLACK = 64  # tokens by which a small estimate may be wrong
BYTES = 4.0  # of an answer's text for each token


def judged(reported: Usage | None, *, prompt: int, written: int, final: bool = True) -> Usage:
    """The provider's usage, or the larger of it and the estimate where there is reason to doubt.

    `prompt` are the tokens estimated before the call, `written` the bytes of text that came back, `final` whether the
    provider's last word on usage was heard.
    """
    output = int(written / BYTES)
    if reported is None:
        return Usage(input=prompt, output=output, estimated=True)
    more_output = max(0, output - reported.output)
    more_input = max(0, prompt - reported.prompt)
    cut = not final and more_output > 0
    lied = output > LIE * reported.output + SLACK
    understated = prompt > LIE * reported.prompt + SLACK
    if not (cut or lied or understated):
        return reported if final else replace(reported, estimated=True)
    return replace(
        reported,
        output=reported.output + (more_output if cut or lied else 0),
        input=reported.input + (more_input if understated else 0),
        estimated=True,
    )
