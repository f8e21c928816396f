// Goes through the dashboard as a person does, in light, dark and on a phone: `node this.mjs PAGE CHROMIUM [SCREENSHOTS]`.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import assert from "node:assert/strict";
import puppeteer from "puppeteer-core";

const [page_url, executablePath, screenshots] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const browser = await puppeteer.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });

// Rules that axe-core itself calls serious or critical.
const serious = async (page, where) => {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document));
  const bad = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  const told = bad.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" | ")}`);
  assert.deepEqual(told, [], where);
};

const look = async (name, scheme, width, height) => {
  const page = await browser.newPage();
  const trouble = [];
  page.on("console", (message) => ["error", "warn"].includes(message.type()) && trouble.push(message.text()));
  page.on("pageerror", (error) => trouble.push(String(error)));
  page.on("requestfailed", (request) => trouble.push(`failed: ${request.url()}`));
  page.on("response", (answer) => new URL(answer.url()).host === new URL(page_url).host || trouble.push(answer.url()));
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.setViewport({ width, height });
  let bytes = 0;
  const session = await page.createCDPSession();
  await session.send("Network.enable");
  session.on("Network.loadingFinished", ({ encodedDataLength }) => (bytes += encodedDataLength));
  await page.goto(page_url, { waitUntil: "networkidle0" });
  assert.ok(bytes > 2_000 && bytes < 150_000, `${name}: ${bytes} bytes`);
  const { scrollWidth, innerWidth } = await page.evaluate(() => ({
    scrollWidth: document.documentElement.scrollWidth, innerWidth: window.innerWidth }));
  assert.ok(scrollWidth <= innerWidth, `${name}: ${scrollWidth} is wider than ${innerWidth}`);
  const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  assert.equal(ground, scheme === "dark" ? "rgb(15, 18, 22)" : "rgb(255, 255, 255)", name);
  const line = await page.evaluate(() => getComputedStyle(document.querySelector('svg [stroke="#010000"]')).stroke);
  assert.notEqual(line, "rgb(1, 0, 0)", `${name}: the style sheet colours the charts`);
  await serious(page, name);
  if (screenshots) await page.screenshot({ path: `${screenshots}-${name}.png` });

  // Pictures load when they come into view.
  await page.$eval("#pictures", (panel) => panel.scrollIntoView());
  const loaded = () => [...document.querySelectorAll("#pictures img")].some((image) => image.complete && image.naturalWidth);
  await page.waitForFunction(loaded, { timeout: 10_000 });
  await page.evaluate(() => window.scrollTo(0, 0));

  // By the keyboard: the first stop leads past the navigation.
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the figures", name);
  for (const panel of ["alerts", "spend", "accepted", "savings", "providers", "requests", "config"]) {
    await page.click(`nav a[href="#${panel}"]`);
    assert.equal(new URL(page.url()).hash, `#${panel}`, name);
    assert.ok(await page.$(`section#${panel} h2`), `${name}: ${panel}`);
  }
  // A request unfolds to its decision, and leads to all of it.
  const request = await page.evaluateHandle(() =>
    [...document.querySelectorAll(".requests details")].find((details) => details.textContent.includes("server_error")));
  await (await request.asElement().$("summary")).click();
  const decided = await page.evaluate((details) => details.open && details.querySelector(".decision").innerText, request);
  assert.match(decided, /asked stability\/core \(first\): server_error, \d+ ms, \$0\n/, name);
  assert.match(decided, /not asked compatible\/any-model: over_budget/, name);
  // Brought up to date, what somebody has opened stays open.
  await page.click("#refresh");
  const before = await page.$eval(".lead time", (time) => time.textContent);
  await page.waitForFunction((then) => document.querySelector(".lead time").textContent !== then, { timeout: 20_000 }, before);
  assert.ok(await page.evaluate((details) => details.isConnected && details.open, request), `${name}: it stays open`);
  await serious(page, `${name}, with a request open`);
  const id = await page.evaluate((details) => details.querySelector("a").getAttribute("href"), request);
  await Promise.all([page.waitForNavigation(), page.evaluate((details) => details.querySelector("a").click(), request)]);
  assert.equal(new URL(page.url()).pathname, id, name);
  assert.match(await page.$eval("#total", (total) => total.textContent), /^\$0\.053 on the invoice/, name);
  await serious(page, `${name}, the page of a request`);
  if (screenshots && name === "light") await page.screenshot({ path: `${screenshots}-request.png` });
  assert.deepEqual(trouble, [], name);
  await page.close();
};

// What is there without a script is all there is but for the box that refreshes.
const without_a_script = async () => {
  const page = await browser.newPage();
  await page.setJavaScriptEnabled(false);
  await page.goto(page_url);
  const page_text = await page.content();
  for (const panel of ["spend-today", "requests", "config", "providers"]) assert.ok(page_text.includes(`id="${panel}"`), panel);
  assert.ok(page_text.includes('id="live" hidden'), "nothing is offered that does not work");
  await page.close();
};

try {
  await look("light", "light", 1200, 1400);
  await look("dark", "dark", 1200, 1400);
  await look("phone", "light", 390, 844);
  await without_a_script();
  console.log("all of it worked");
} finally {
  await browser.close();
}
