"""Shows every mail that Endcap sends, with invented names: `python docs/mails.py` writes `docs/mails.md` with pictures.

The HTML part is photographed in Chromium as a mail program would show it, the text part stands beside it. A template
that is not named here is shown with what all samples have.
"""

import base64
import os
import shutil
import sys
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from domain.case import CaseOption, Consequence, MoneyEffect
from domain.claims import ClaimLineView, ClaimView
from domain.people import Person
from ledger.delegations import DelegationView
from ledger.reads.approvals import ApprovalDetail, VerdictRow
from ledger.reads.comments import Comment
from ledger.reads.exchanges import ExchangeOffer
from ledger.reads.letters import Addressee, Case, Order, OrderLine
from ledger.reads.offers import OfferView, PickupView, Piece
from ledger.reads.returns_by_link import LineByLink, ReturnByLink
from ledger.reads.sides import SideView
from letters import TEMPLATES, render
from ports.mail import Letter, build, message_id

FOLDER = Path(__file__).parent / "mails"
PAGE = Path(__file__).parent / "mails.md"
NOW = datetime(2026, 3, 3, 13, 2, tzinfo=UTC)
ZONE = "Europe/Berlin"
BASE = "https://endcap.shop.example"
ANA = Person("ana", "Ana Ruiz", "ana.ruiz@shop.example", ())
SAM = Person("sam", "Sam Okafor", "sam.okafor@shop.example", ())
WIDE, NARROW = 640, 390
GROUPS = {
    "Approvers": ("approval_", "delegation_"),
    "People who work here": ("case_", "count_", "customer_arrived", "webhook_"),
    "Vendors": ("claim_",),
    "Customers": ("",),
}
# Shown twice, with something more: for the picture only, by a name of its own.
VARIANTS = {
    "approval_request": {
        "delegate": "stands in, with a code, where two must agree",
        "adjustment": "of a correction of the book",
        "claim": "of a claim against a vendor",
        "policy_change": "of a change of policy",
        "promotion": "of a promotion",
        "return_override": "of taking back what policy refused",
        "transfer": "of a transfer between two entities",
        "write_off": "of giving up what a vendor owes",
    },
    "exchange_asked": {"declined": "once more, after the provider would not pay"},
}


def _option() -> CaseOption:
    return CaseOption(
        id="cancel_refund",
        label="Cancel and refund",
        needs_approval=True,
        consequence=Consequence(
            money=[MoneyEffect(label="refund", amount_minor=31_200, currency="EUR")],
            customer="is told that the order is cancelled and gets all their money back.",
        ),
    )


def approval(**more: Any) -> ApprovalDetail:
    given: dict[str, Any] = {
        "id": 41, "kind": "refund", "subject": "Cancel and refund: order W-2041", "state": "pending", "case_id": 77,
        "decision_id": 9, "journey_id": "bopis:web:W-2041", "location": "S1", "region": "R1", "entity": "DE01",
        "amount_minor": 31_200, "currency": "EUR", "band": "refund", "requester": "sam", "requester_name": "Sam Okafor",
        "asked_roles": ["store_manager"], "next_role": "finance", "level": 1, "quorum": 1, "agreed": 0,
        "opened_at": NOW, "deadline_at": NOW + timedelta(hours=4), "paused_at": None,
        "expires_at": NOW + timedelta(hours=4), "decided_by": None, "decided_by_name": None, "decided_for": None,
        "decided_for_name": None, "decided_via": None, "decided_at": None, "version": 2, "clock_offset_s": 0,
        "may_decide": True, "may_agree": True, "has_agreed": False, "why_not": None, "acts_for_name": None, "facts": {},
        "roles": ["store_manager", "finance", "admin"], "next_at": None, "option": _option(),
        "reason": "Two of the three are not on the shelf, and nobody near has them.",
        "sides": [SideView(location="S1", place="Mainz", need=1, agreed=[], missing="Ana Ruiz's word is missing.")],
        "verdicts": [],
    }  # fmt: skip
    return ApprovalDetail(**(given | more))


# What each kind of request says of itself; `refund` is the one above.
KINDS: dict[str, dict[str, Any]] = {
    "adjustment": {"subject": "-5 × Green tea at Mainz (missing)", "amount_minor": 7_500},
    "claim": {
        "subject": "Claim A-17-2 against Tea & Co.", "requester": "endcap", "requester_name": "Endcap, by policy",
    },
    "policy_change": {
        "subject": "New root cause “Shelf label missing” for “Reservation failed” in R1", "amount_minor": 0,
        "reason": "Every tenth short pick of the spring was a label that nobody had put up.",
    },
    "promotion": {
        "subject": "Promotion TEA-MARCH: Tea week", "amount_minor": 512_000, "asked_roles": ["merchandiser"],
    },
    "return_override": {
        "subject": "Return RT-4711: take back what was refused", "reason": "Bought for a wedding that was put off.",
        "facts": {
            "override_reason": "goodwill",
            "lines": [{"sku": "TEA-2", "units": 1, "policy": "The time to bring it back ended on 1 February."}],
        },
    },
    "transfer": {
        "subject": "Transfer T-88: Mainz to Basel", "facts": {"from": "Mainz", "to": "Basel"}, "quorum": 2,
        "sides": [
            SideView(location="S1", place="Mainz", need=1, agreed=[], missing="Ana Ruiz's word is missing."),
            SideView(location="S7", place="Basel", need=1, agreed=[], missing="Lea Frei's word is missing."),
        ],
    },
    "write_off": {
        "subject": "75.00 EUR that Tea & Co. does not credit (return VR-12)", "amount_minor": 7_500,
        "asked_roles": ["finance"], "next_role": "admin", "reason": "The vendor shows that the goods never arrived.",
    },
}  # fmt: skip


def of_kind(kind: str) -> ApprovalDetail:
    """A request that no decision on a case came before."""
    alone: dict[str, Any] = {"case_id": None, "decision_id": None, "journey_id": None, "option": None, "reason": None}
    return approval(id=42, kind=kind, **(alone | KINDS[kind]))


def _said(verdict: str, name: str, note: str | None = None) -> VerdictRow:
    return VerdictRow(
        id=1, person_id="x", person_name=name, on_behalf_of=None, on_behalf_of_name=None, verdict=verdict, via="link",
        note=note, at=NOW + timedelta(minutes=20),
    )  # fmt: skip


def claim(**more: Any) -> ClaimView:
    line = {"promotion_id": "TEA-MARCH", "released_minor": 0, "written_off_minor": 0, "reclaimed_minor": 0}
    given: dict[str, Any] = {
        "journey_id": "claim:erp:A-17-2", "claim_id": "A-17-2", "source": "erp", "state": "sent", "kind": "periodic",
        "agreement_id": "erp:A-17", "agreement_number": "A-17", "agreement_document": "A-17.pdf", "entity": "DE01",
        "vendor": "TEACO", "vendor_name": "Tea & Co.", "claims_email": "claims@teaco.example", "currency": "EUR",
        "amount_minor": 31_200, "accepted_minor": 25_000, "settled_minor": 0, "released_minor": 0,
        "written_off_minor": 0, "reclaimed_minor": 0, "open_minor": 31_200, "settlement": None, "reference": "V-7731",
        "disputes": 1, "frozen_at": NOW, "sent_at": NOW, "answered_at": None, "settled_at": None, "closed_at": None,
        "dues": {}, "case_id": None, "approval_id": None,
        "lines": [
            ClaimLineView(
                line_id="1", sku="TEA-1", units=500, amount_minor=25_000, accepted_minor=25_000, short_minor=0,
                reason="", **line,
            ),
            ClaimLineView(
                line_id="2", sku="TEA-2", units=124, amount_minor=6_200, accepted_minor=0, short_minor=6_200,
                reason="over_cap", **line,
            ),
        ],
    }  # fmt: skip
    return ClaimView(**(given | more))


def everything() -> dict[str, Any]:
    """What a template may name, filled with a day in a shop."""
    lines = [OrderLine("Green tea", 3, 3, 0, 0), OrderLine("Oolong", 1, 1, 0, 0)]
    missing, instead = [Piece("Green tea", 3)], [Piece("Oolong", 3)]
    return {
        "to": Addressee("Kim Lee", "kim@customer.example", None),
        "context": {
            "amount_minor": 4_500, "until": "Thu 5 Mar, 09:00 CET", "bay": "4", "carrier": "Parcel Co",
            "tracking": "PC123", "webhook": "we_1", "source": "web",
            "why": "100 attempts in a row failed", "occasion": "level", "label": "RT-4711", "method": "store",
            "credit": False, "fee_minor": 300, "clawed_minor": 0, "order_id": "W-2050", "declined": False,
            "reminder": False, "because": "nobody answered in time",
        },
        "order": Order(
            "bopis:web:W-2041", "W-2041", "ready_for_pickup", "EUR", "Mainz", "Markt 1, 55116 Mainz", ZONE,
            NOW + timedelta(hours=3), {"window": NOW + timedelta(days=5), "goods": NOW + timedelta(days=9)}, lines,
            4_500, "7K2-QX9",
        ),
        "case": Case(
            77, "Reservation failed", "bopis:web:W-2041", "high", 2, "Mainz", ZONE, 31_200, "EUR", NOW,
            NOW + timedelta(hours=1), closed=False,
        ),
        "approval": approval(),
        "approvals": [(approval(), f"{BASE}/a/…", None)],
        "offer": OfferView(
            5, "c", "Kim Lee", "W-2041", "substitute", "open", None, "your item was found", None,
            NOW + timedelta(hours=2), missing, instead, "Mainz", "Markt 1", "", "", ZONE, "EUR", 300, 1,
            rest=1, cancels_all=False, clock_offset_s=0,
        ),
        "pickup": PickupView(
            "bopis:web:W-2041", "c", "Kim Lee", "W-2041", "ready_for_pickup", "Mainz", "Markt 1", ZONE,
            NOW + timedelta(days=5), missing, 1, 2, may_cancel=True, clock_offset_s=0, currency="EUR",
        ),
        "delegation": DelegationView(
            3, "ana", "Ana Ruiz", "fin", "Fin Olsen", NOW, NOW + timedelta(days=14), "current", None, None
        ),
        "comment": Comment(SAM.name, NOW, "The customer rings back at five.\nCould you hold the last one until then?"),
        "asked_by": SAM,
        "returned": ReturnByLink(
            "returns:web:RT-4711", "c", "Kim Lee", "RT-4711", "inspecting", "mail", "RT-4711", "EUR", "Mainz",
            "Markt 1", ZONE, NOW + timedelta(days=9), 0,
            [
                LineByLink("Green tea", 3, 3, 1, ("of its condition; it comes back to you",), "", 3_000, 300),
                LineByLink("Oolong", 1, 0, 0, (), "The time to bring it back ended on 1 February.", 0, 0),
            ],
            [], [], [],
        ),
        "claim": claim(),
        "swap": ExchangeOffer(
            6, "c", "Kim Lee", "RT-4711", "W-2050", "open", None, "", None, NOW + timedelta(days=2),
            [Piece("Oolong", 1)], "Mainz", "Markt 1", zone=ZONE, currency="EUR", price_minor=2_000,
            price_tax_minor=319, worth_minor=1_500, worth_tax_minor=239, paid_minor=0, difference_minor=500,
            tender="card", is_sent=False, clock_offset_s=0,
        ),
        "zone": ZONE,
        "link": f"{BASE}/c/…",
        "code": None,
        "base_url": BASE,
    }  # fmt: skip


def context_of(template: str, variant: str = "") -> dict[str, Any]:
    """The sample of a template, or of a variant of it."""
    given = everything()
    if template.startswith(GROUPS["Vendors"]):
        return given | {"to": Addressee("Tea & Co.", "claims@teaco.example", None)}
    if variant == "declined":
        given["context"] |= {"declined": True}
    if not template.startswith(GROUPS["Approvers"] + GROUPS["People who work here"]):
        return given
    given |= {"to": Addressee(ANA.name, ANA.email, ANA), "link": f"{BASE}/a/…"}
    if template == "approval_question":
        asked = _said("ask", "Ana Ruiz", "Has the customer been offered the store in Wiesbaden?")
        given["approval"] = approval(verdicts=[asked], paused_at=NOW + timedelta(minutes=20))
    if template == "approval_digest":
        given["approvals"] += [(of_kind(kind), f"{BASE}/a/…", None) for kind in ("adjustment", "policy_change")]
    if template == "approval_unanswerable":
        nobody = "One more word is missing, of the role finance, which nobody holds there."
        side = SideView(location="S1", place="Mainz", need=2, agreed=[], missing=nobody)
        given["approval"] = approval(quorum=2, sides=[side], next_role=None)
    if variant in KINDS:
        given["approval"] = of_kind(variant)
    if variant == "delegate":
        side = SideView(location="S1", place="Mainz", need=2, agreed=["Ben Oto"], missing="Ana Ruiz's word is missing.")
        given |= {
            "approval": approval(
                quorum=2, agreed=1, sides=[side], verdicts=[_said("approve", "Ben Oto")], acts_for_name="Ana Ruiz"
            ),
            "code": "482913",
            "to": Addressee("Fin Olsen", "fin.olsen@shop.example", ANA),
        }
    return given


def templates() -> list[str]:
    """The name of each mail."""
    return sorted(file.stem for file in (TEMPLATES / "mail").glob("*.html") if file.stem != "frame")


def letter(template: str, variant: str = "") -> EmailMessage:
    """The complete message, as it would be handed to a mail server."""
    context = context_of(template, variant)
    subject, text, html = render(template, context)
    made = Letter(
        to_name=context["to"].name, to_email=context["to"].email, subject=subject, text=text, html=html,
        message_id=message_id(template, "shop.example"), thread="case-77",
    )  # fmt: skip
    return build(made, sender="Endcap <endcap@shop.example>", now=NOW)


def part(message: EmailMessage, kind: str) -> str:
    """The `plain` or the `html` part."""
    found = message.get_body((kind,))
    assert found is not None
    return str(found.get_content()).replace("\r\n", "\n")


def shown() -> list[tuple[str, str, str]]:
    """(group, template, variant) of each mail on the page."""
    rows = []
    left = templates()
    for group, beginnings in GROUPS.items():
        here = [one for one in left if one.startswith(beginnings)]
        left = [one for one in left if one not in here]
        rows += [(group, one, variant) for one in here for variant in ("", *VARIANTS.get(one, {}))]
    return rows


def picture(template: str, variant: str) -> str:
    return f"{template}{'-' if variant else ''}{variant}.png"


def page() -> str:
    """The document."""
    said = [
        "# Mails", "",
        "Every mail that Endcap sends, with invented names; `python docs/mails.py` makes this page. The text part",
        "comes first and is complete; the HTML part has its styles on its elements, loads nothing from anywhere, and",
        "is readable in the dark. Mails of one case, or of one order, stand together (`References`), and none is",
        "answered by a machine (`Auto-Submitted`).",
    ]  # fmt: skip
    heading = ""
    for group, template, variant in shown():
        if group != heading:
            heading = group
            said += ["", f"## {group}"]
        message = letter(template, variant)
        more = f", {VARIANTS[template][variant]}" if variant else ""
        said += [
            "", f"### {template.replace('_', ' ')}{more}", "",
            f"![{message['Subject']}](mails/{picture(template, variant)})", "",
            "<details><summary>As text</summary>", "", "```text", f"Subject: {message['Subject']}", "",
            part(message, "plain").strip(), "```", "", "</details>",
        ]  # fmt: skip
    return "\n".join(said) + "\n"


def main() -> None:
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        sys.exit("Chromium is missing (Debian: apt-get install chromium)")
    FOLDER.mkdir(exist_ok=True)
    wanted = {picture(template, variant): part(letter(template, variant), "html") for _, template, variant in shown()}
    for old in {file.name for file in FOLDER.glob("*.png")} - wanted.keys():
        (FOLDER / old).unlink()
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        tab = browser.new_page(viewport={"width": WIDE, "height": 200})
        for name, html in wanted.items():
            tab.set_content(html.replace("cid:pickup-code", f"data:image/png;base64,{_code()}"))
            tab.screenshot(path=FOLDER / name, full_page=True)
        browser.close()
    PAGE.write_text(page())


def _code() -> str:
    import io

    import segno

    made = io.BytesIO()
    segno.make_qr("7K2-QX9").save(made, kind="png", scale=6, border=3)
    return base64.b64encode(made.getvalue()).decode()


if __name__ == "__main__":
    main()
