// Three pictures of one prompt, by a name for which the package makes three requests of one each. Run by sdks.rs with the
// base URL as its argument, against a route that keeps variants.
import assert from "node:assert/strict";
import { createOpenAI } from "@ai-sdk/openai";
import { generateImage } from "ai";

const openai = createOpenAI({ baseURL: process.argv[2], apiKey: "not-a-real-key" });
const { images, responses } = await generateImage({ model: openai.image("varied"), prompt: "a fox", n: 3, maxRetries: 0 });
assert.equal(responses.length, 3, "the package makes three requests");
assert.equal(new Set(images.map((image) => image.base64)).size, 3);

console.log("all of it worked");
