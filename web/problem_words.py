"""What a refusal of the HTTP layer itself says: to programs in their words, to people in theirs."""

NO_PAGE = "There is no page at this address. It may be cut off or mistyped, or what was here has gone."

# By status: the stable code, and what programs read.
PROGRAMS = {
    404: ("not_found", "There is nothing at this address. The API is described at /api/v1/openapi.json."),
    405: ("method_not_allowed", "This address does not take this method; the header Allow says which it takes."),
    413: ("body_too_large", "The body is larger than this address takes. Send less at a time."),
}

# What people read while PostgreSQL is away: whoever opens a link in a mail knows of no database.
AWAY = "This page cannot reach its records just now; nothing was recorded. Try the same again in a moment."
TOO_LONG = "This takes longer than it may; nothing was recorded. Ask for less, or come again later."

# By code: what people read in place of it.
PEOPLE = {
    "method_not_allowed": (
        "This address takes what a form sends, and shows nothing by itself. Open the page that the form is on."
    ),
    "body_too_large": (
        "What you sent is larger than this page takes; nothing of it was recorded. Send less at a time: fewer or "
        "smaller photos, a smaller file, a shorter text."
    ),
    "address_too_long": "This address is longer than any page of this site has. Open the page from where it is linked.",
    "bad_character": "There is a character in it that cannot be kept; nothing was recorded. Take it out and try again.",
    "too_slow": "What you sent came too slowly; nothing of it was recorded. Send it again where the network is better.",
    "internal_error": (
        "Something failed here that should not have. It is written down for whoever runs this. Before you send "
        "anything a second time, look at its page: it shows what was recorded."
    ),
}
