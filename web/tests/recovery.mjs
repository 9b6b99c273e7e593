// A line that breaks: the listener presses once, the connection is cut and refused for two seconds, and the sound comes back by itself.
// A small relay in front of HIWAR_ORIGIN does the cutting.
import assert from "node:assert/strict";
import { launch, ORIGIN, page as open, pressAndHear, until } from "./browser.mjs";
import { Relay } from "./relay.mjs";

const SPACE = process.env.HIWAR_SPACE ?? "demo";
const relay = await Relay.before(ORIGIN);

const browser = await launch();
try {
  const { page, errors } = await open(browser, { lang: "en" });
  await page.goto(`${relay.origin}/s/${SPACE}?lang=en`);
  await pressAndHear(page, "#press");
  await page.waitForTimeout(1_000);

  relay.cut();
  const broke = Date.now();
  await until("it says so", async () => (await page.textContent("#notice")).includes("by itself"));
  await page.waitForTimeout(2_000);
  const attempts = relay.refused;
  relay.mend();
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
}
