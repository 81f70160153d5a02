"""Small real PDFs: pages of 4 × 6 inch with lines of text. Their font knows Latin letters only."""

from collections.abc import Sequence

WIDTH, HEIGHT = 288, 432  # points: 4 × 6 inch

Line = tuple[int, str]  # size in points, text


def document(pages: Sequence[Sequence[Line]]) -> bytes:
    """One page for each list of lines. Other scripts come out as question marks, as on many a label."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
    ]
    for lines in pages:
        stream = _drawn(lines)
        objects += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {WIDTH} {HEIGHT}] /Contents {len(objects) + 2} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>".encode(),
            f"<< /Length {len(stream)} >>\nstream\n".encode() + stream + b"\nendstream",
        ]
    out, offsets = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"), list[int]()
    for index, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += f"{index} 0 obj\n".encode() + body + b"\nendobj\n"
    table = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    for offset in offsets:
        out += f"{offset:010} 00000 n \n".encode()
    out += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n".encode()
    return bytes(out)


def _drawn(lines: Sequence[Line]) -> bytes:
    y, parts = HEIGHT - 40, ["0.5 w 12 12 264 408 re S"]
    for size, text in lines:
        parts.append(f"BT /F1 {size} Tf 24 {y} Td ({_escaped(text)}) Tj ET")
        y -= size + 16
    return "\n".join(parts).encode("latin-1")


def _escaped(text: str) -> str:
    plain = text.encode("latin-1", "replace").decode("latin-1")
    return plain.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
