"""What of a plan is kept beside its run, so that another process can go on with it; no secret is in it."""

from __future__ import annotations

from ensemble.operations import PausePlan, RedrivePlan, Result


class PlanOutline(Result):
    """The names of orders, the records or the pause that a plan is about: what of them is left is planned anew."""

    names: tuple[str, ...] = ()
    redrive: RedrivePlan | None = None
    pause: PausePlan | None = None
