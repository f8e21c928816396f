"""What an application does, with the official package. Run by tools.rs with the base URL as its argument."""

import base64
import re
import sys
import urllib.request

import openai

client = openai.OpenAI(base_url=sys.argv[1], api_key="not-a-real-key", max_retries=0)


def is_picture(data):
    return data.startswith(b"\x89PNG") or data.startswith(b"\xff\xd8\xff") or data[8:12] == b"WEBP"


inline = client.images.generate(model="m", prompt="four foxes", n=4, size="1024x1024", response_format="b64_json")
assert len(inline.data) == 4, inline
assert all(is_picture(base64.b64decode(picture.b64_json)) for picture in inline.data)
assert inline.created > 1_700_000_000

linked = client.images.generate(model="m", prompt="four hens", n=4, size="1024x1024", response_format="url")
assert len(linked.data) == 4, linked
for picture in linked.data:
    assert picture.b64_json is None
    with urllib.request.urlopen(picture.url) as file:
        assert is_picture(file.read())

raw = client.images.with_raw_response.generate(model="m", prompt="four hens", n=4, size="1024x1024")
assert raw.headers["x-easel-cache"] == "exact", raw.headers
assert raw.headers["x-easel-cost-usd"] == "0"

stream = client.images.generate(model="m", prompt="four streamed hens", n=4, size="1024x1024", stream=True)
streamed = list(stream)
assert [event.type for event in streamed] == ["image_generation.completed"] * 4, streamed
for event in streamed:
    assert is_picture(base64.b64decode(event.b64_json)) and re.fullmatch(r"\d+x\d+", event.size), event.size

original = base64.b64decode(inline.data[0].b64_json)
edited = client.images.edit(model="m", prompt="in winter", image=[("a.png", original), ("b.png", original)])
assert is_picture(base64.b64decode(edited.data[0].b64_json))
changed = list(client.images.edit(model="m", prompt="in spring", image=("a.png", original), stream=True))
assert [event.type for event in changed] == ["image_edit.completed"], changed

names = [model.id for model in client.models.list()]
assert names == ["m", "stability/core", "openai/gpt-image-2"], names
assert client.models.retrieve("m").id == "m"
assert client.models.retrieve("stability/core").id == "stability/core"


def expect(kind, code, **request):
    try:
        client.images.generate(**request)
    except kind as error:
        assert error.code == code, (error.code, error.body)
        return error
    raise AssertionError(f"no {kind.__name__}")


wrong = expect(openai.BadRequestError, "invalid_size", model="m", prompt="x", size="banana")
assert wrong.param == "size" and wrong.type == "invalid_request_error", wrong.body
expect(openai.NotFoundError, "model_not_found", model="nothing-like-it", prompt="x")
refused = expect(openai.BadRequestError, "moderation_blocked", model="m", prompt="something forbidden")
assert refused.type == "image_generation_user_error", refused.body

print("all of it worked")
