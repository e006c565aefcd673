"""Code 128 (ISO/IEC 15417) as inline SVG: what a hand scanner reads from paper or a screen. No script, no picture file.

Subset B holds printable ASCII; an even run of digits goes in pairs (subset C). What has other characters gets no bars.
"""

from itertools import accumulate

from markupsafe import Markup

# Widths of bars and spaces, in modules, of the values 0 … 102, of the three starts (A, B, C), and of the stop.
_WIDTHS = (
    "212222 222122 222221 121223 121322 131222 122213 122312 132212 221213 221312 231212 112232 122132 122231 113222 "
    "123122 123221 223211 221132 221231 213212 223112 312131 311222 321122 321221 312212 322112 322211 212123 212321 "
    "232121 111323 131123 131321 112313 132113 132311 211313 231113 231311 112133 112331 132131 113123 113321 133121 "
    "313121 211331 231131 213113 213311 213131 311123 311321 331121 312113 312311 332111 314111 221411 431111 111224 "
    "111422 121124 121421 141122 141221 112214 112412 122114 122411 142112 142211 241211 221114 413111 241112 134111 "
    "111242 121142 121241 114212 124112 124211 411212 421112 421211 212141 214121 412121 111143 111341 131141 114113 "
    "114311 411113 411311 113141 114131 311141 411131 211412 211214 211232 2331112"
)
WIDTHS = tuple(_WIDTHS.split())
START_B, START_C, STOP = 104, 105, 106
QUIET = 10  # modules of white on either side, without which a scanner sees nothing


def values(text: str) -> list[int] | None:
    """The symbol's values from start to stop, the check value included; None for text that it cannot hold."""
    if not text or not all(" " <= sign <= "~" for sign in text):
        return None
    if text.isdigit() and len(text) % 2 == 0:
        found = [START_C, *(int(text[at : at + 2]) for at in range(0, len(text), 2))]
    else:
        found = [START_B, *(ord(sign) - 32 for sign in text)]
    check = (found[0] + sum(place * value for place, value in enumerate(found[1:], start=1))) % 103
    return [*found, check, STOP]


def code128(text: str) -> Markup:
    """The bars of a text with the text below them; the text alone where bars cannot say it."""
    encoded = values(text)
    if encoded is None:
        return Markup('<span class="barcode">{}</span>').format(text)
    modules = [int(width) for value in encoded for width in WIDTHS[value]]
    edges = [QUIET, *accumulate(modules, initial=QUIET)][1:]
    bars = "".join(f"M{edges[at]} 0h{modules[at]}v40h-{modules[at]}z" for at in range(0, len(modules), 2))
    return Markup(
        '<span class="barcode"><svg viewBox="0 0 {} 40" width="{}" height="40" preserveAspectRatio="none" role="img"'
        ' aria-label="Barcode {}"><path d="{}"/></svg><span>{}</span></span>'
    ).format(edges[-1] + QUIET, edges[-1] + QUIET, text, bars, text)
