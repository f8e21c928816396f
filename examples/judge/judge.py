#!/usr/bin/env python3
"""A judge for Easel: the words that a prompt puts in quotes must be readable in the picture.

Speaks the wire format of docs/reference/judge.md. README.md beside this file says how to run it.
"""

import argparse
import base64
import hashlib
import hmac
import io
import json
import logging
import os
import queue
import re
import socket
import sys
import threading
import time
import unicodedata
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn
from typing import List, Optional, Set

# A 24-megabyte picture in base64, and what is told of it.
MOST_BODY = 34 * 1024 * 1024
# Connections at once: at MOST_BODY each, what strangers can make this process hold.
MOST_CONNECTIONS = 8
# Seconds that a connection lives, whatever is done on it.
LONGEST_CONNECTION = 60.0
# Seconds that a signature is good for, so that a question that was listened to is of no use later.
SIGNATURE_AGE = 300
# Pixels that are decoded: 4096 by 4096, which take 200 MB meanwhile. Nothing is said of a larger picture.
MOST_PIXELS = 4096 * 4096
# A picture is read at this size at most: letters that a person reads at a glance are larger than a hundredth of it.
LARGEST_SIDE = 1024
# Quotes that are looked for, and characters of each and of what is read. They bound the work of the search.
MOST_QUOTES, LONGEST_QUOTE, LONGEST_TEXT = 16, 120, 4000

# An opening mark and what closes it. German marks open low; French and German ones are used both ways round.
MARKS = {
    '"': '"', "\u201c": "\u201d", "\u201d": "\u201d", "\u201e": "\u201c\u201d", "'": "'",
    "\u2018": "\u2019", "\u201a": "\u2018\u2019", "\u00ab": "\u00bb", "\u00bb": "\u00ab",
    "\u2039": "\u203a", "\u203a": "\u2039", "\u300c": "\u300d", "\u300e": "\u300f",
}
# Marks that are apostrophes within a word, and an inch behind a number.
APOSTROPHES = "'\u2019\u2018"
# "without the words" before a quote: these words are not wanted, so nobody looks for them.
NEGATION = re.compile(
    r"\b(no|not|without|never|nor|kein\w*|nicht|ohne|sans|pas)\s+"
    r"((a|an|any|the|words?|text|letters|phrase|slogan|d[aeiu][mnrs]|d[eu]|wort|worte|l[ae]s?|mots?|texte)\s+)*$",
    re.IGNORECASE,
)
# '90s: an apostrophe that stands for a century.
DECADE = re.compile(r"['\u2018\u2019]\d\ds\b")

# What reading takes for each other in numbers, which must match to the digit.
LOOKALIKES = str.maketrans({"o": "0", "l": "1", "i": "1"})

log = logging.getLogger("judge")


# ---- What the prompt wants ----


def quotes(prompt: str) -> List[str]:
    """The texts in quotes, as far as they are to be in the picture."""
    found, at = [], 0
    while at < len(prompt) and len(found) < MOST_QUOTES:
        closers = MARKS.get(prompt[at])
        if closers is None or not opens(prompt, at):
            at += 1
            continue
        end = next((i for i in range(at + 1, len(prompt)) if prompt[i] in closers and closes(prompt, i)), None)
        if end is None:
            at += 1
            continue
        text = " ".join(prompt[at + 1 : end].split())
        # rock 'n' roll
        least = 2 if prompt[at] in APOSTROPHES else 1
        if least <= len(text) <= LONGEST_QUOTE and not NEGATION.search(prompt[max(0, at - 60) : at]):
            found.append(text)
        at = end + 1
    return found


def opens(prompt: str, at: int) -> bool:
    """Whether a mark can begin a quote: an apostrophe has a letter before it, an inch a digit."""
    before, mark = prompt[at - 1 : at], prompt[at]
    if (prompt[at + 1 : at + 2].isspace() and mark in "\"'") or DECADE.match(prompt, at):
        return False
    return not (before.isalnum() if mark in APOSTROPHES else before.isdigit() and mark == '"')


def closes(prompt: str, at: int) -> bool:
    """Whether a mark can end a quote: an apostrophe goes on with a letter."""
    return not (prompt[at] in APOSTROPHES and prompt[at + 1 : at + 2].isalnum())


# ---- What the picture says ----


def plain(text: str) -> str:
    """Letters and digits alone, without case and accents: reading often loses the rest, spaces included."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return "".join(c for c in decomposed if c.isalnum())


def is_short(word: str) -> bool:
    """Whether the word is in nearly any text by chance; two Chinese characters are not."""
    return len(word) <= 2 and word.isascii()


def units(quote: str) -> List[str]:
    """The words to look for. One or two letters are somewhere in any text, so they go with the word after or before."""
    merged: List[str] = []
    short = ""
    for word in filter(None, map(plain, re.split(r"[\s/|\u2022\u2013\u2014-]+", quote))):
        word, short = short + word, ""
        if is_short(word):
            short = word
        else:
            merged.append(word)
    if short:
        merged = merged[:-1] + [merged[-1] + short] if merged else [short]
    return merged


def distance(word: str, text: str) -> int:
    """The least number of edits that make `word` a part of `text` (Sellers 1980)."""
    row = [0] * (len(text) + 1)
    for i, letter in enumerate(word, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(text, 1):
            diagonal, row[j] = row[j], min(diagonal + (letter != other), row[j] + 1, row[j - 1] + 1)
    return min(row)


def is_read(word: str, lines: List[str], similarity: float) -> bool:
    """Whether `word` is in one of the lines, or across several of them, but for slips of reading."""
    if is_short(word):
        # Nothing else would tell it from a part of a word.
        return any(word == plain(token) for line in lines for token in line.split())
    texts = [plain(line) for line in lines]
    whole = "".join(texts)[:LONGEST_TEXT]
    if any(c.isdigit() for c in word):
        return word.translate(LOOKALIKES) in whole.translate(LOOKALIKES)
    return word in whole or 1 - distance(word, whole) / len(word) >= similarity


@dataclass
class Verdict:
    verdict: str
    score: Optional[float] = None
    reasons: List[str] = field(default_factory=list)

    def json(self) -> bytes:
        told = {"verdict": self.verdict, "reasons": self.reasons}
        if self.score is not None:
            told["score"] = self.score
        return json.dumps(told).encode()


def judge(wanted: List[str], lines: List[str], similarity: float) -> Verdict:
    """Accepts a picture that says all that is wanted; the score is the share of the words that it says."""
    words, read, reasons = 0, 0, []
    for quote in wanted:
        found = {unit: is_read(unit, lines, similarity) for unit in units(quote)}
        words, read = words + len(found), read + sum(found.values())
        if not all(found.values()):
            reasons.append(f"missing text: {quote}")
    verdict = "reject" if reasons else "accept"
    return Verdict(verdict, round(read / words, 3) if words else None, reasons)


class Unreadable(Exception):
    """A picture that is not read, and what is said of it."""

    def __init__(self, verdict: str, why: str) -> None:
        super().__init__(why)
        self.verdict = verdict


class Reader:
    """Reads text in pictures with models of its own, one picture at a time for each of them."""

    def __init__(self, threads: int) -> None:
        import numpy
        from PIL import Image, ImageDraw, ImageOps
        from rapidocr import RapidOCR

        logging.getLogger("RapidOCR").setLevel(logging.ERROR)
        self.numpy, self.image, self.ops = numpy, Image, ImageOps
        Image.MAX_IMAGE_PIXELS = MOST_PIXELS
        picture = Image.new("RGB", (256, 64), "white")
        ImageDraw.Draw(picture).text((20, 20), "EASEL EASEL", fill="black")
        sample = numpy.asarray(picture)
        # Each engine computes on one core, so that `threads` pictures take `threads` cores.
        one = {f"EngineConfig.onnxruntime.{which}_op_num_threads": 1 for which in ("intra", "inter")}
        self.engines: "queue.Queue" = queue.Queue()
        for _ in range(threads):
            engine = RapidOCR(params={"Global.log_level": "error", **one})
            # It loads its models with the first text that it reads, which had better not be a caller's.
            engine(sample)
            self.engines.put(engine)
        self.letters: Set[str] = set(engine.text_rec.postprocess_op.character)

    def knows(self, text: str) -> bool:
        """Whether the models have a letter for each of the text's: others are not missing, they cannot be read."""
        return not self.letters or all(c in self.letters or set(plain(c)) <= self.letters for c in text if c.isalnum())

    def lines(self, file: bytes) -> List[str]:
        """The lines of text from top to bottom. Raises Unreadable."""
        engine = self.engines.get()
        try:
            found = engine(self.pixels(file))
        finally:
            self.engines.put(engine)
        if not found.txts:
            return []
        placed = sorted(zip(found.boxes, found.txts), key=lambda line: (line[0][:, 1].mean() // 16, line[0][0][0]))
        return [text for _, text in placed]

    def pixels(self, file: bytes):
        """The picture as a browser shows it on white, no larger than it is read."""
        try:
            with self.image.open(io.BytesIO(file), formats=("PNG", "JPEG", "WEBP")) as opened:
                if opened.width * opened.height > MOST_PIXELS:
                    raise Unreadable("abstain", "more pixels than are read")
                deep = opened.mode.startswith("I")
                picture = opened.point(lambda level: level / 256).convert("L") if deep else opened
                picture = self.ops.exif_transpose(picture).convert("RGBA")
        except (OSError, SyntaxError, ValueError, self.image.DecompressionBombError) as why:
            raise Unreadable("reject", "no picture that can be read") from why
        picture.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
        shown = self.image.alpha_composite(self.image.new("RGBA", picture.size, "white"), picture).convert("RGB")
        return self.numpy.ascontiguousarray(self.numpy.asarray(shown)[:, :, ::-1])


# ---- HTTP ----


class Refused(Exception):
    """A question that is not answered with a verdict."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Server(ThreadingMixIn, HTTPServer):
    """A thread for each connection, so many at once; the others wait in the backlog."""

    daemon_threads = True
    request_queue_size = 32

    def __init__(self, address, reader: Reader, key: Optional[bytes], similarity: float) -> None:
        super().__init__(address, Handler)
        self.reader, self.key, self.similarity = reader, key, similarity
        self.places = threading.BoundedSemaphore(MOST_CONNECTIONS)

    def server_bind(self) -> None:
        # HTTPServer would look up this machine's name in the DNS, which nobody needs here.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.server_address[:2]

    def process_request(self, request, client_address) -> None:
        self.places.acquire()
        try:
            super().process_request(request, client_address)
        except BaseException:
            self.places.release()
            raise

    def process_request_thread(self, request, client_address) -> None:
        end = threading.Timer(LONGEST_CONNECTION, shut, [request])
        end.daemon = True
        end.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            end.cancel()
            self.places.release()

    def handle_error(self, request, client_address) -> None:
        why = sys.exc_info()[1]
        log.info("a connection ended early: %s", why, exc_info=None if isinstance(why, OSError) else why)


def shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # It is over already.


class Handler(BaseHTTPRequestHandler):
    server: Server
    server_version, sys_version = "easel-example-judge", ""
    # Longest silence of a connection.
    timeout = 10

    def do_GET(self) -> None:
        healthy = self.path == "/healthz"
        self.answer(200 if healthy else 404, b"{}")

    def do_POST(self) -> None:
        began = time.monotonic()
        try:
            if self.path != "/judge":
                raise Refused(404, "POST /judge asks")
            verdict = self.verdict(self.signed_body())
        except Refused as refused:
            log.warning("%d %s", refused.status, refused)
            self.answer(refused.status, json.dumps({"error": str(refused)}).encode())
            return
        # Not the reasons: they quote the prompt.
        log.info("%s score=%s in %.0f ms", verdict.verdict, verdict.score, (time.monotonic() - began) * 1000)
        self.answer(200, verdict.json())

    def signed_body(self) -> bytes:
        """The body, if it is whole, not too large, and signed by who has the key."""
        length = self.headers.get("content-length", "")
        if not (length.isascii() and length.isdecimal()):
            raise Refused(411, "the length of the body is not told")
        if int(length) > MOST_BODY:
            raise Refused(413, f"the body is larger than {MOST_BODY} bytes")
        sent, signature = self.signature() if self.server.key else ("", "")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise Refused(400, "the body is not whole")
        if self.server.key:
            signer = hmac.new(self.server.key, sent.encode() + b".", hashlib.sha256)
            signer.update(body)
            if not hmac.compare_digest(signer.hexdigest().encode(), signature.encode()):
                raise Refused(401, "the signature is not right")
        return body

    def signature(self) -> "tuple[str, str]":
        """When the question was signed, and how. Nothing is read of one that is not, or is too old."""
        written = self.headers.get("x-easel-signature", "")
        fields = dict(part.split("=", 1) for part in written.split(",") if "=" in part)
        sent, signature = fields.get("t", ""), fields.get("v1", "")
        if not (sent.isascii() and sent.isdecimal() and len(sent) <= 12 and signature):
            raise Refused(401, "the question is not signed")
        if abs(time.time() - int(sent)) > SIGNATURE_AGE:
            raise Refused(401, "the signature is too old, or of a clock that is ahead")
        return sent, signature

    def verdict(self, body: bytes) -> Verdict:
        try:
            question = json.loads(body)
            prompt, file = question["prompt"], base64.b64decode(question["image"]["base64"], validate=True)
            if not isinstance(prompt, str):
                raise TypeError
        except (ValueError, TypeError, KeyError, RecursionError):
            raise Refused(400, "no question with prompt and image.base64: send_prompt and send_picture are needed") from None
        reader = self.server.reader
        wanted = [quote for quote in quotes(prompt) if units(quote) and reader.knows(quote)]
        if not wanted:
            return Verdict("abstain", None, ["the prompt quotes nothing that can be read"])
        try:
            lines = reader.lines(file)
        except Unreadable as unreadable:
            return Verdict(unreadable.verdict, None, [str(unreadable)])
        return judge(wanted, lines, self.server.similarity)

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code="-", size="-") -> None:
        pass  # do_POST says more.

    def log_message(self, format, *args) -> None:
        log.warning("%s", (format % args).encode("ascii", "backslashreplace").decode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8900, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--print-port", action="store_true", help="print the port on a line of its own once it listens")
    parser.add_argument("--threads", type=int, default=2, help="pictures read at once, a core each (default: %(default)s)")
    parser.add_argument("--similarity", type=float, default=0.8, help="how like a word must be read (default: %(default)s)")
    parser.add_argument("--unsigned", action="store_true", help="answer whoever asks; else JUDGE_KEY is the key")
    wanted = parser.parse_args()
    key = os.environ.get("JUDGE_KEY", "").encode()
    if not key and not wanted.unsigned:
        parser.error("set JUDGE_KEY to the hmac_key of Easel's config, or say --unsigned")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    reader = Reader(max(1, wanted.threads))
    with Server((wanted.host, wanted.port), reader, None if wanted.unsigned else key, wanted.similarity) as server:
        log.info("listening on %s port %d", *server.server_address[:2])
        if wanted.print_port:
            print(server.server_address[1], flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
