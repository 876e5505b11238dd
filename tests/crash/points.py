"""Which crash point a death was at, told from how far the flow had come.

C0 to C7 checkout; F- to F2 what asks the gateway after a decision; E0 to E3 delivery, R0 to R2 its question to the
gateway; W0 to W2 webhook and S0 to S2 parcel: before their one transaction, in it, behind it.
"""


def checkout(at):
    if at.told:
        return "C7"
    if not at.commits:
        return "C1" if at.open else "C0"
    if at.recorded:
        return "C6"
    if at.open:
        return "C5"
    if not at.asked.endswith("/confirm"):
        return "C2"
    return "C4" if at.answered else "C3"


def refund(at):
    if not at.commits:
        return "F-"
    if at.recorded or at.told:
        return "F2"
    return "F1" if at.answered else "F0"


def delivery(at):
    if not at.commits:
        return "E0"
    if at.asked:
        return _question(at)
    if at.mailed:
        return "E3" if at.recorded else "E2"
    return "E3" if at.commits > 1 else "E1"


def _question(at):
    if at.recorded:
        return "R2"
    return "R1" if at.answered else "R0"


def webhook(at):
    return _one_transaction("W", at)


def parcel(at):
    return _one_transaction("S", at)


def _one_transaction(letter, at):
    if at.commits or at.told:
        return f"{letter}2"
    return f"{letter}1" if at.open else f"{letter}0"


CHECKOUT = ("C0", "C1", "C2", "C3", "C4", "C5", "C6", "C7")
