// What an application does, with the official package for Node. Run by sdks.rs with the base URL as its argument.
import assert from "node:assert/strict";
import { deflateSync } from "node:zlib";
import OpenAI, { toFile } from "openai";

const client = new OpenAI({ baseURL: process.argv[2], apiKey: "not-a-real-key", maxRetries: 0 });
const isPicture = (file) => file.subarray(0, 4).toString("latin1") === "\x89PNG";
const decoded = (picture) => Buffer.from(picture.b64_json, "base64");

const inline = await client.images.generate({ model: "m", prompt: "three foxes", n: 3, size: "1024x1024" });
assert.equal(inline.data.length, 3);
assert.ok(inline.data.every((picture) => isPicture(decoded(picture))));

const linked = await client.images.generate({ model: "m", prompt: "two hens", n: 2, response_format: "url" });
assert.equal(linked.data.length, 2);
for (const { url } of linked.data) {
  assert.ok(isPicture(Buffer.from(await (await fetch(url)).arrayBuffer())), url);
}

const { data, response } = await client.images.generate({ model: "m", prompt: "two hens", n: 2 }).withResponse();
assert.equal(data.data.length, 2);
assert.equal(response.headers.get("x-easel-cache"), "exact");

async function collect(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

const drawn = await collect(await client.images.generate({ model: "m", prompt: "a streamed hen", stream: true }));
assert.equal(drawn.at(-1).type, "image_generation.completed");
assert.ok(isPicture(decoded(drawn.at(-1))));

const original = decoded(inline.data[0]);
const file = (name) => toFile(original, name, { type: "image/png" });
const edited = await client.images.edit({ model: "m", prompt: "in winter", image: [await file("a.png"), await file("b.png")] });
assert.ok(isPicture(decoded(edited.data[0])));
const changed = await collect(
  await client.images.edit({ model: "m", prompt: "in spring", image: await file("a.png"), stream: true }),
);
assert.equal(changed.at(-1).type, "image_edit.completed");

// A grey and alpha PNG as large as the picture, all of it transparent: draw everything anew.
function chunk(type, body) {
  const named = Buffer.concat([Buffer.from(type, "latin1"), body]);
  const framed = Buffer.alloc(named.length + 8);
  framed.writeUInt32BE(body.length, 0);
  named.copy(framed, 4);
  framed.writeUInt32BE(crc(named), named.length + 4);
  return framed;
}
function crc(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  }
  return (sum ^ 0xffffffff) >>> 0;
}
const [width, height] = [original.readUInt32BE(16), original.readUInt32BE(20)];
const header = Buffer.alloc(13);
header.writeUInt32BE(width, 0);
header.writeUInt32BE(height, 4);
header.set([8, 4, 0, 0, 0], 8);
const signature = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");
const rows = deflateSync(Buffer.alloc(height * (1 + 2 * width)));
const mask = Buffer.concat([signature, chunk("IHDR", header), chunk("IDAT", rows), chunk("IEND", Buffer.alloc(0))]);
const masked = await client.images.edit({
  model: "m",
  prompt: "a blue door",
  image: await file("a.png"),
  mask: await toFile(mask, "mask.png", { type: "image/png" }),
});
assert.ok(isPicture(decoded(masked.data[0])));

async function expectError(kind, code, request) {
  const error = await client.images.generate(request).then(() => undefined, (error) => error);
  assert.ok(error instanceof kind, `${code}: ${error}`);
  assert.equal(error.code, code);
  assert.ok(error.requestID, `${code} has no request id`);
  return error;
}
const wrong = await expectError(OpenAI.BadRequestError, "invalid_size", { model: "m", prompt: "x", size: "banana" });
assert.equal(wrong.param, "size");
await expectError(OpenAI.NotFoundError, "model_not_found", { model: "nothing-like-it", prompt: "x" });
await expectError(OpenAI.BadRequestError, "moderation_blocked", { model: "m", prompt: "something forbidden" });

const names = [];
for await (const model of client.models.list()) names.push(model.id);
assert.ok(names.includes("m"), names);
assert.equal((await client.models.retrieve("m")).id, "m");

console.log("all of it worked");
