"""Texts in tables that people open with a spreadsheet, which runs whatever it takes for a formula."""

# What spreadsheets take for the beginning of a formula, or leave out before looking for one; the last four are the
# wide forms that they read as the others.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def defused(text: str) -> str:
    """The text as a cell that stays a text: a quotation mark before whatever would be a formula.

    The cell has to be written in quotes as well (`csv.QUOTE_ALL`): elsewhere a semicolon within it begins another one.
    """
    return f"'{text}" if text.startswith(FORMULA) else text
