"""The states and union territories of India: codes, GST numbers, spellings, and the state a pincode lies in.

Pure tables. Two-letter codes follow ISO 3166-2:IN as of 2023 (CG, OD, TG, UK; DH for the merged Dadra and Nagar
Haveli and Daman and Diu). The pincode prefixes and their six-digit exceptions were computed from India Post's
directory of 2025-10-03.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class State:
    """One state or union territory. `gst` is the number a GSTIN starts with.

    `utgst`: it has no legislature of its own, so the local half of GST is called UTGST instead of SGST.
    `also` holds older codes and spellings that channels still send, in any case and punctuation.
    """

    code: str
    gst: str
    name: str
    also: tuple[str, ...] = ()
    utgst: bool = False


STATES: tuple[State, ...] = (
    State("JK", "01", "Jammu and Kashmir", ("J&K", "J and K", "Jammu", "Kashmir", "Jammu Kashmir")),
    State("HP", "02", "Himachal Pradesh", ("Himachal",)),
    State("PB", "03", "Punjab", ("PN", "Panjab")),
    State("CH", "04", "Chandigarh", ("Chandigarh UT",), utgst=True),
    State("UK", "05", "Uttarakhand", ("UT", "UA", "Uttaranchal", "Uttrakhand", "Uttarakand")),
    State("HR", "06", "Haryana", ("Hariyana",)),
    State(
        "DL", "07", "Delhi", ("New Delhi", "NCT of Delhi", "Delhi NCT", "National Capital Territory of Delhi", "NCT")
    ),
    State("RJ", "08", "Rajasthan", ("Rajastan",)),
    State("UP", "09", "Uttar Pradesh", ("U.P.", "Uttarpradesh", "Uttar Pardesh")),
    State("BR", "10", "Bihar", ("BH",)),
    State("SK", "11", "Sikkim"),
    State("AR", "12", "Arunachal Pradesh", ("Arunachal",)),
    State("NL", "13", "Nagaland"),
    State("MN", "14", "Manipur"),
    State("MZ", "15", "Mizoram"),
    State("TR", "16", "Tripura"),
    State("ML", "17", "Meghalaya"),
    State("AS", "18", "Assam"),
    State("WB", "19", "West Bengal", ("Bengal", "Paschim Banga", "Paschimbanga")),
    State("JH", "20", "Jharkhand", ("Jharkand",)),
    State("OD", "21", "Odisha", ("OR", "Orissa")),
    State("CG", "22", "Chhattisgarh", ("CT", "Chattisgarh", "Chhatisgarh", "Chattishgarh", "Chhattisgar")),
    State("MP", "23", "Madhya Pradesh", ("M.P.", "Madhyapradesh", "Madhya Pardesh")),
    State("GJ", "24", "Gujarat", ("Gujrat", "Gujarath")),
    State(
        "DH",
        "26",
        "Dadra and Nagar Haveli and Daman and Diu",
        (
            *("DN", "DD", "DNHDD", "DNH", "Dadra and Nagar Haveli", "Dadra Nagar Haveli", "Daman and Diu", "Daman Diu"),
            *("Daman", "Diu", "Silvassa", "Dadra and Nagar Haveli Daman and Diu"),
        ),
        utgst=True,
    ),
    State("MH", "27", "Maharashtra", ("Maharastra", "Maharashtara")),
    State("KA", "29", "Karnataka", ("KR", "Karnatka")),
    State("GA", "30", "Goa"),
    State("LD", "31", "Lakshadweep", ("LK", "Lakshadweep Islands", "Lakshadeep"), utgst=True),
    State("KL", "32", "Kerala", ("KE",)),
    State("TN", "33", "Tamil Nadu", ("Tamilnadu", "Tamil Naidu")),
    State("PY", "34", "Puducherry", ("Pondicherry", "Pondichery", "PO")),
    State("AN", "35", "Andaman and Nicobar Islands", ("Andaman and Nicobar", "Andaman Nicobar", "Andaman"), utgst=True),
    State("TG", "36", "Telangana", ("TS", "TL", "Telengana", "Telangana State")),
    State("AP", "37", "Andhra Pradesh", ("AD", "Andhra", "Andhrapradesh")),
    State("LA", "38", "Ladakh", ("Leh", "Leh Ladakh"), utgst=True),
)

BY_CODE: dict[str, State] = {state.code: state for state in STATES}

OTHER_TERRITORY = "97"
"""The GST number of places that lie in no state: offshore, the exclusive economic zone."""

BY_GST: dict[str, str | None] = {
    **{state.gst: state.code for state in STATES},
    "25": "DH",  # Daman and Diu before the merger of 2020
    "28": "AP",  # Andhra Pradesh before the division of 2014
    OTHER_TERRITORY: None,
}
"""GST state number → our state code. Numbers that are no longer given out still stand on old documents."""

NORTH_EAST = frozenset({"AR", "AS", "MN", "ML", "MZ", "NL", "SK", "TR"})


def _folded(text: str) -> str:
    words = re.sub(r"[^a-z]+", " ", text.casefold().replace("&", " and ")).split()
    return "".join(word for word in words if word not in {"the", "and", "of"})


_SPELLINGS: dict[str, str] = {
    _folded(spelling): state.code for state in STATES for spelling in (state.code, state.name, *state.also)
}


def state_code(text: str | None) -> str | None:
    """`"Jammu & Kashmir"`, `"IN-JK"`, `"j and k"`, `"01"` → `"JK"`; None for what is no Indian state.

    Old and new province codes of Shopify, WooCommerce and Amazon are all understood.
    """
    typed = (text or "").strip()
    if typed.isdecimal():
        return BY_GST.get(typed.zfill(2))
    bare = re.sub(r"^IN[-_ ]", "", typed, flags=re.IGNORECASE)
    return _SPELLINGS.get(_folded(bare))


def state_name(code: str) -> str:
    """`"TG"` → `"Telangana"`. Raises KeyError for a code that is not ours."""
    return BY_CODE[code].name


def _span(text: str) -> set[str]:
    """`"136-138 140"` → 136, 137, 138, 140."""
    found: set[str] = set()
    for part in text.split():
        first, _, last = part.partition("-")
        found.update(str(number) for number in range(int(first), int(last or first) + 1))
    return found


_PREFIXES: tuple[tuple[str, str], ...] = (
    ("DL", "110"),
    ("HR", "121-136"),
    ("PB", "140-152"),
    ("CH", "160"),
    ("HP", "171-177"),
    ("JK", "180-193"),
    ("LA", "194"),
    ("UP", "201-245 247 250-261 271-285"),
    ("UK", "246 248-249 262-263"),
    ("RJ", "301-345"),
    ("GJ", "360-396"),
    ("MH", "400-402 410-445"),
    ("GA", "403"),
    ("MP", "450-488"),
    ("CG", "490-497"),
    ("TG", "500-509"),
    ("AP", "515-535"),
    ("KA", "560-591"),
    ("TN", "600-643"),
    ("KL", "670-695"),
    ("WB", "700-736 741-743"),
    ("SK", "737"),
    ("AN", "744"),
    ("OD", "751-770"),
    ("AS", "781-788"),
    ("AR", "790-792"),
    ("ML", "793-794"),
    ("MN", "795"),
    ("MZ", "796"),
    ("NL", "797-798"),
    ("TR", "799"),
    ("BR", "800-813 821 823-824 841-855"),
    ("JH", "814-818 822 825-835"),
)

_EXCEPTIONS: tuple[tuple[str, str], ...] = (
    ("PB", "160055 160059 160062 160071 160103-160104"),
    # Uttarakhand inside Uttar Pradesh's prefixes, and the other way round (Bijnor; Pilibhit and Kheri).
    ("UK", "244712-244713 244715-244717 244720 247656 247658 247661 247663-247668 247670-247671"),
    (
        "UP",
        "246700-246799 262001 262121-262124 262201-262203 262302 262305 262406 262701-262702 262721-262728 "
        "262801-262805 262901-262908",
    ),
    ("DH", "362520 362540 362570 396210 396215 396220 396230 396240"),
    ("PY", "605001-605013 605107 605110 605502 607402-607403 609601-609609 673310"),
    ("LD", "682551-682559"),
    ("JH", "813208"),
    ("BR", "814131"),
)

STATE_OF_PREFIX: dict[str, str] = {prefix: code for code, span in _PREFIXES for prefix in _span(span)}
STATE_OF_PINCODE: dict[str, str] = {pincode: code for code, span in _EXCEPTIONS for pincode in _span(span)}


def state_of_pincode(pincode: str) -> str | None:
    """The state a pincode lies in by its digits alone; None for the army's (9…) and for what is not in use."""
    if len(pincode) != 6:
        return None
    return STATE_OF_PINCODE.get(pincode) or STATE_OF_PREFIX.get(pincode[:3])
