"""Whether this place is fit for a job: requirements in, met or not met out; nothing here prints.

:func:`gpudoctor.preflight.requirements.parse` reads ``vram>=40GiB``, :func:`gpudoctor.preflight.judged.judged` holds
it against facts, :mod:`gpudoctor.preflight.look` takes the facts that requirements need.
"""
