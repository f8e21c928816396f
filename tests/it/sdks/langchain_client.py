"""What an application does, with LangChain's DALL-E wrapper. Run by sdks.rs with the base URL as its argument."""

import sys
import urllib.request

import openai
from langchain_community.utilities.dalle_image_generator import DallEAPIWrapper

where = {"api_key": "not-a-real-key", "base_url": sys.argv[1], "max_retries": 0}

# It sends no response_format and reads the `url` of each picture.
wrapper = DallEAPIWrapper(model="dall-e-3", n=1, **where)
with urllib.request.urlopen(wrapper.run("a fox")) as file:
    assert file.read(4) == b"\x89PNG"

several = DallEAPIWrapper(model="dall-e-3", n=2, separator=" ", **where).run("two foxes").split(" ")
assert len(several) == 2 and all(link.startswith("http") for link in several), several

try:
    wrapper.run("something forbidden")
except openai.BadRequestError as error:
    assert error.code == "moderation_blocked", error.body
else:
    raise AssertionError("no BadRequestError")

print("all of it worked")
