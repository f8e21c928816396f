// What an application does, with the Vercel AI SDK. Run by sdks.rs with the base URL as its argument.
import assert from "node:assert/strict";
import { createOpenAI } from "@ai-sdk/openai";
import { APICallError, generateImage } from "ai";

const openai = createOpenAI({ baseURL: process.argv[2], apiKey: "not-a-real-key" });
const isPng = (file) => Buffer.from(file.slice(0, 4)).toString("latin1") === "\x89PNG";

// A name that the package knows, which asks for no response_format, and one that it does not, for which it asks.
for (const name of ["gpt-image-2", "m"]) {
  const model = openai.image(name);
  const { images, usage } = await generateImage({ model, prompt: `a fox of ${name}`, n: 2, size: "1024x1024", maxRetries: 0 });
  assert.equal(images.length, 2, name);
  assert.ok(images.every((image) => isPng(image.uint8Array)), name);
  assert.equal(images[0].mediaType, "image/png");
  assert.ok(usage !== undefined);

  const edited = await generateImage({
    model,
    prompt: { text: "in winter", images: [images[0].uint8Array] },
    maxRetries: 0,
  });
  assert.ok(isPng(edited.image.uint8Array), name);
}

async function expectError(status, code, request) {
  const error = await generateImage({ maxRetries: 0, ...request }).then(() => undefined, (error) => error);
  assert.ok(APICallError.isInstance(error), `${code}: ${error}`);
  assert.equal(error.statusCode, status);
  assert.equal(error.data.error.code, code);
  assert.equal(error.message, error.data.error.message);
}
await expectError(400, "moderation_blocked", { model: openai.image("m"), prompt: "something forbidden" });
await expectError(404, "model_not_found", { model: openai.image("nothing-like-it"), prompt: "x" });
await expectError(400, "invalid_size", { model: openai.image("m"), prompt: "x", size: "999999x1" });

console.log("all of it worked");
