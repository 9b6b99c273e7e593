// A stranger's first minute, in Arabic and in English: the first page lists the demo, its page plays after one press, on a phone
// and on a desk, light and dark. Needs a server with the demo: HIWAR_ORIGIN=http://127.0.0.1:8080 node tests/listen.mjs
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { accessibility, launch, ORIGIN, page as open, pressAndHear, reading, until } from "./browser.mjs";

const PICTURES = process.env.HIWAR_PICTURES;
const SPACE = process.env.HIWAR_SPACE ?? "demo";
const browser = await launch();
const measured = [];

async function fine(page, lang, name) {
  if (PICTURES) {
    mkdirSync(PICTURES, { recursive: true });
    await page.screenshot({ path: `${PICTURES}/${name}.png` });
  }
  assert.deepEqual(await reading(page, lang), [], name);
  assert.deepEqual(await accessibility(page), [], name);
}

async function stranger(lang, look) {
  const { page, errors, close } = await open(browser, { lang, ...look });
  const name = `${lang}-${look.width < 500 ? "phone" : "desk"}-${look.scheme}`;
  await page.goto(`${ORIGIN}/`);
  await page.waitForSelector(`a[href="/s/${SPACE}"]`);
  await fine(page, lang, `home-${name}`);
  await page.click(`a[href="/s/${SPACE}"]`);
  await page.waitForSelector("#press");
  await fine(page, lang, `page-${name}`);
  const ms = await pressAndHear(page, "#press");
  await until("the lateness is told", async () => /[\d٠-٩]/.test(await page.textContent("#late")));
  // Three seconds are enough for the level of the buffer to settle; then no second may be missing.
  await page.waitForTimeout(3_000);
  const [from, began] = await page.evaluate(() => [document.querySelector("audio").currentTime, performance.now()]);
  await page.waitForTimeout(5_000);
  const [to, ended] = await page.evaluate(() => [document.querySelector("audio").currentTime, performance.now()]);
  const pace = (to - from) / ((ended - began) / 1000);
  assert.ok(pace > 0.97 && pace < 1.08, `plays at its own pace, not ${pace}`);
  await fine(page, lang, `listening-${name}`);
  measured.push({ name, press_to_sound_ms: ms, pace: Number(pace.toFixed(3)), lateness: (await page.textContent("#late")).trim() });
  assert.deepEqual(errors, [], name);
  // A second press is silence, and the connection is gone.
  await page.click("#press");
  await until("it is paused", () => page.evaluate(() => document.querySelector("audio").paused));
  await close();
  assert.ok(ms <= 2_000, `${name}: sound ${ms} ms after the press`);
}

try {
  for (const lang of ["ar", "en"]) {
    await stranger(lang, { width: 390, height: 844, scheme: "light" });
    await stranger(lang, { width: 1280, height: 800, scheme: "dark" });
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify({ test: "listen", measured }));
