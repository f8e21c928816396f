"""What an application does, with LiteLLM's package. Run by sdks.rs with the base URL as its argument."""

import asyncio
import base64
import io
import os
import sys
import urllib.request

import openai

# Otherwise it asks another host for a list of prices while it is imported.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm  # noqa: E402

where = {"api_base": sys.argv[1], "api_key": "not-a-real-key", "max_retries": 0}


def is_picture(data):
    return data.startswith(b"\x89PNG")


inline = litellm.image_generation(model="openai/m", prompt="two foxes", n=2, size="1024x1024", **where)
assert len(inline.data) == 2, inline
assert all(is_picture(base64.b64decode(picture["b64_json"])) for picture in inline.data)

# It sends no response_format; this model's answers are links, as OpenAI's reference says.
linked = litellm.image_generation(model="openai/dall-e-3", prompt="a hen", **where)
with urllib.request.urlopen(linked.data[0]["url"]) as file:
    assert is_picture(file.read())

later = asyncio.run(litellm.aimage_generation(model="openai/m", prompt="a later hen", **where))
assert is_picture(base64.b64decode(later.data[0]["b64_json"]))

# A name that the package takes for OpenAI's own, so that it knows what the model may be asked.
original = base64.b64decode(inline.data[0]["b64_json"])
edited = litellm.image_edit(
    model="openai/gpt-image-1", prompt="in winter", image=[io.BytesIO(original), io.BytesIO(original)], **where
)
assert is_picture(base64.b64decode(edited.data[0].b64_json)), edited


def expect(kind, code, **request):
    try:
        litellm.image_generation(**request, **where)
    except kind as error:
        assert code in str(error), error
        return
    raise AssertionError(f"no {kind.__name__}")


expect(openai.BadRequestError, "size", model="openai/m", prompt="x", size="banana")
expect(openai.BadRequestError, "safety system", model="openai/m", prompt="something forbidden")
expect(openai.NotFoundError, "nothing-like-it", model="openai/nothing-like-it", prompt="x")

print("all of it worked")
