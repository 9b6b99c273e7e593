// A line that breaks: the listener presses once, the connection is cut and refused for two seconds, and the sound comes back by itself.
// A small relay in front of HIWAR_ORIGIN does the cutting.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { launch, ORIGIN, page as open, pressAndHear, until } from "./browser.mjs";

const SPACE = process.env.HIWAR_SPACE ?? "demo";
const { hostname, port } = new URL(ORIGIN);
const lines = new Set();
let refusing = false;
let arrivals = [];

const relay = createServer((near) => {
  near.on("error", () => {});
  if (refusing) {
    arrivals.push(Date.now());
    return near.destroy();
  }
  const far = connect(Number(port), hostname);
  far.on("error", () => near.destroy());
  for (const [one, other] of [[near, far], [far, near]]) {
    one.pipe(other);
    one.on("close", () => other.destroy());
    lines.add(one);
    one.on("close", () => lines.delete(one));
  }
});
relay.listen(0, "127.0.0.1");
await once(relay, "listening");

const browser = await launch();
try {
  const { page, errors } = await open(browser, { lang: "en" });
  await page.goto(`http://127.0.0.1:${relay.address().port}/s/${SPACE}?lang=en`);
  await pressAndHear(page, "#press");
  await page.waitForTimeout(1_000);

  refusing = true;
  for (const line of lines) line.destroy();
  const broke = Date.now();
  await until("it says so", async () => (await page.textContent("#notice")).includes("by itself"));
  await page.waitForTimeout(2_000);
  const attempts = arrivals.length;
  refusing = false;
  const before = await page.evaluate(() => document.querySelector("audio").currentTime);
  await until("the sound is back", () => page.evaluate((t) => document.querySelector("audio").currentTime > t + 0.5, before), 8_000);
  const back_ms = Date.now() - broke;
  await until("and it says nothing more", async () => (await page.textContent("#notice")) === "");
  // Live again, not two seconds late.
  await page.waitForTimeout(1_500);
  const late = Number(/[\d.]+/.exec(await page.textContent("#late"))[0]);
  assert.ok(late < 2, `${late} s late after coming back`);
  assert.ok(attempts <= 12, `${attempts} attempts in two seconds is a storm`);
  assert.deepEqual(errors, []);
  console.log(JSON.stringify({ test: "recovery", back_ms, attempts_while_refused: attempts, late_s: late }));
} finally {
  await browser.close();
  relay.close();
  for (const line of lines) line.destroy();
}
