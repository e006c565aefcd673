"""What a person states along with a way out: each statement in the first person, as it stands beside its box."""

STATEMENTS: dict[str, str] = {
    "agreed_by_phone": "I have asked the customer, and they agree",
    "agreed_with_customer": "I have agreed this with the customer",
    "nothing_is_missing": "I know that no sale before the count is missing",
    "paid": "I know that the customer has paid",
    "paid_out": "I have paid the money out",
    "put_right_by_hand": "I have put these prices right by hand",
}

# What is to be done before somebody can state it.
BEFORE: dict[str, str] = {
    "agreed_by_phone": "Call them first: choosing this asks nobody, and they are told what was agreed.",
}


def statement(name: str) -> str:
    """A statement in words; one that is not known is said by its name."""
    return STATEMENTS.get(name) or name.replace("_", " ").capitalize()


def before(name: str) -> str:
    """What is to be done before it can be stated; empty where it says so itself."""
    return BEFORE.get(name, "")
