"""Invented buyers and goods, so that orders placed without details look like a day in an Indian shop."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Buyer:
    first_name: str
    last_name: str
    phone: str
    address1: str
    address2: str
    city: str
    province: str
    province_code: str
    zip: str


@dataclass(frozen=True)
class Good:
    sku: str
    title: str
    variant: str
    price: str  # rupees, tax included
    grams: int
    hsn: str | None
    gst_percent: int


BUYERS = (
    Buyer(
        "Kavya",
        "Hegde",
        "+919845000101",
        "14, 3rd Main",
        "Jayanagar 4th Block",
        "Bengaluru",
        "Karnataka",
        "KA",
        "560011",
    ),
    Buyer(
        "Imran", "Sheikh", "09820000102", "Flat 7, Sea Breeze", "Carter Road", "Mumbai", "Maharashtra", "MH", "400050"
    ),
    Buyer("Gurpreet", "Kaur", "98140 00103", "221 Model Town", "", "Ludhiana", "Punjab", "PB", "141002"),
    Buyer("Lakshmi", "Narayanan", "9840000104", "9/2 Car Street", "Mylapore", "Chennai", "Tamil Nadu", "TN", "600004"),
    Buyer("रोहित", "शर्मा", "+91 98110 00105", "मकान 42, गली नं. 6", "करोल बाग", "नई दिल्ली", "Delhi", "DL", "110005"),
    Buyer("Ananya", "Bose", "9830000106", "18B Lake Road", "Ballygunge", "Kolkata", "West Bengal", "WB", "700029"),
    Buyer("Faizan", "Ahmed", "9848000107", "H.No. 8-2-120", "Banjara Hills", "Hyderabad", "Telangana", "TS", "500034"),
    Buyer(
        "Nirmala", "Patel", "9825000108", "C/12 Shanti Park Society", "Alkapuri", "Vadodara", "Gujarat", "GJ", "390007"
    ),
    Buyer("Biren", "Das", "9864000109", "House 5, Zoo Road", "", "Guwahati", "Assam", "AS", "781024"),
    Buyer("Tenzin", "Dolma", "9622000110", "Main Bazaar", "Near Shanti Stupa Road", "Leh", "Ladakh", "LA", "194101"),
)

GOODS = (
    Good("BOT-1L-BLU", "Steel bottle", "1 L / Blue", "499.00", 420, "732393", 18),
    Good("BOT-750-RED", "Steel bottle", "750 ml / Red", "449.00", 360, "732393", 18),
    Good("KURTA-M-IND", "Cotton kurta", "M / Indigo", "1299.00", 350, "610910", 5),
    Good("KURTA-L-IND", "Cotton kurta", "L / Indigo", "1299.00", 380, "610910", 5),
    Good("CHAI-250", "Masala chai", "250 g", "275.00", 280, "090240", 5),
    Good("LAMP-BRASS", "Brass lamp", "Medium", "2450.00", 1850, "830629", 12),
    Good("हल्दी-200", "हल्दी पाउडर", "200 ग्राम", "120.00", 220, "091030", 5),
    Good("MAT-YOGA", "Yoga mat", "6 mm", "899.00", 1100, None, 18),
)
