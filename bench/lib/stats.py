# SPDX-License-Identifier: PostgreSQL
"""Medians and spread: every figure is shown with what it varied between."""
import statistics


def spread(values):
    values = list(values)
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "all": values}


def summarise(runs):
    """[{key: number}, ...] -> {key: spread}"""
    return {key: spread(run[key] for run in runs) for key in runs[0]}


def ratio(over, under):
    """Of two spreads, round by round: what slows a round down does so to both. None when there is nothing
    to divide by."""
    if not all(under["all"]):
        return None
    return spread(a / b for a, b in zip(over["all"], under["all"], strict=True))


def lower(one, other):
    """The lower of two, in each round."""
    return spread(map(min, one["all"], other["all"]))


def turns(cases, count):
    """(round, case): all cases of a round before the next round, every second round backwards, so that
    neither a slow drift of the machine nor the neighbour in the order favours one."""
    cases = list(cases)
    for number in range(count):
        for case in cases if number % 2 == 0 else reversed(cases):
            yield number, case
