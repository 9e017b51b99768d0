"""Judges mails that come on standard input, each behind what it has to be: `<length> <length>\n<JSON><bytes>`."""

import email
import email.policy
import html
import html.parser
import json
import re
import sys

# A header for each, once; nothing else.
HEADERS = {
    "from", "reply-to", "to", "subject", "date", "message-id", "auto-submitted", "x-auto-response-suppress",
    "content-language", "mime-version", "content-type",
}  # fmt: skip
ELEMENTS = {"html", "head", "meta", "title", "style", "body", "div", "table", "tr", "td", "p", "a", "br"}
STRICT = email.policy.default.clone(raise_on_defect=True)


class Page(html.parser.HTMLParser):
    """The links, elements and words of a page."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.links, self.elements, self.words, self.remote = [], set(), [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        for name, value in attrs:
            if name == "href":
                self.links.append(value)
            elif name in ("src", "background", "action", "srcset") or name.startswith("on"):
                self.remote.append((tag, name))
        if tag == "br":
            self.words.append("\n")

    def handle_data(self, data):
        self.words.append(data)


def judge(expected, raw):
    """Raises what is wrong."""
    assert b"\0" not in raw or not expected["fair"], "a NUL"
    lines = raw.split(b"\r\n")
    assert not any(b"\r" in line or b"\n" in line for line in lines), "a bare CR or LF"
    assert max(map(len, lines)) <= 998, "a line of more than 998 bytes"
    if raw.isascii():
        mail = email.message_from_bytes(raw, policy=STRICT)
    else:
        # SMTPUTF8 (RFC 6532): the address, and nothing else, is not ASCII.
        odd = [line for line in lines if not line.isascii()]
        assert len(odd) == 1 and odd[0].lower().startswith(b"to:"), odd
        assert not expected["to"].isascii()
        mail = email.message_from_string(raw.decode(), policy=STRICT)
    names = [name.lower() for name in mail.keys()]
    assert set(names) == HEADERS and len(names) == len(HEADERS), names
    to = mail["To"].addresses
    assert [address.addr_spec for address in to] == [expected["to"]], (to, expected["to"])
    assert [a.addr_spec for a in mail["From"].addresses] == ["portal@portal.example"]
    assert [a.addr_spec for a in mail["Reply-To"].addresses] == ["help@portal.example"]
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime.timestamp() == 1_800_000_000
    assert re.fullmatch(r"<[0-9a-f-]+\.1\.[a-z]+@portal\.example>", mail["Message-ID"]), mail["Message-ID"]
    assert f".{expected['purpose']}@" in mail["Message-ID"]
    subject = str(mail["Subject"])
    assert subject.strip() and not re.search(r"[\x00-\x1f\x7f\x85\u2028\u2029]", subject), repr(subject)
    # A joiner keeps what looks like an encoded word (RFC 2047) from being decoded.
    plain = [" ".join(text.replace("\u200d", "").split()) for text in (expected["tenant"], subject)]
    # A subject of the portal's own that comes out too long is cut, and says so.
    cut = expected["own"] and 190 <= len(plain[1]) <= 200 and plain[1].endswith("\u2026")
    assert not expected["fair"] or cut or plain[0] in plain[1], plain
    assert not mail["Subject"].defects and not mail.defects, mail.defects

    assert mail.get_content_type() == "multipart/alternative"
    parts = mail.get_payload()
    assert [part.get_content_type() for part in parts] == ["text/plain", "text/html"]
    for part in parts:
        assert part.get_content_charset() == "utf-8" and not part.defects
    text, page = (part.get_content().replace("\r\n", "\n") for part in parts)

    link = expected["link"]
    assert text.count(link) == 1, "the text has the link not once"
    seen = Page(page)
    assert set(seen.links) == {link}, seen.links
    assert 1 <= len(seen.links) <= 2
    assert not seen.remote and seen.elements <= ELEMENTS, (seen.remote, seen.elements - ELEMENTS)
    language = re.search(r'<html lang="([a-z-]+)"', page)
    assert language and language.group(1) == mail["Content-Language"], mail["Content-Language"]

    words = "".join(seen.words)
    for line in expected["message"]:
        assert f"\n> {line}\n" in text, (line, text)
        assert line in words, (line, words)


def main():
    """Judges all of them; stops at the first that is wrong."""
    source, count = sys.stdin.buffer, 0
    while sizes := source.readline():
        head, body = (source.read(int(size)) for size in sizes.split())
        expected = json.loads(head)
        try:
            judge(expected, body)
        except Exception as error:  # Whatever it is, the mail is shown.
            print(f"mail {count}: {type(error).__name__}: {error}\n{expected}\n{body.decode(errors='replace')}")
            source.read()
            sys.exit(1)
        count += 1
    print(f"{count} mails are what they should be")


main()
