// A stranger's first minute, in Arabic and in English, on a phone and on a desk, light and dark: the first page lists the demo, nothing
// sounds without a press, and one press is enough under the browser's default autoplay policy.
import assert from "node:assert/strict";
import { fine, launch, ORIGIN, page as open, position, pressAndHear, until } from "./browser.mjs";

const SPACE = process.env.HIWAR_SPACE ?? "demo";
const browser = await launch();
const measured = [];

async function stranger(lang, look) {
  const { page, errors, close } = await open(browser, { lang, ...look });
  const name = `${lang}-${look.width < 500 ? "phone" : "desk"}-${look.scheme}`;
  const asked = [];
  page.on("request", (request) => /\/(listen|hls|replay)\//.test(request.url()) && asked.push(request.url()));
  await page.goto(`${ORIGIN}/`);
  await page.waitForSelector(`a[href="/s/${SPACE}"]`);
  await fine(page, lang, `home-${look.scheme}`);
  await page.click(`a[href="/s/${SPACE}"]`);
  await page.waitForSelector("#press");
  await fine(page, lang, `page-${look.scheme}`);
  assert.deepEqual(asked, [], "no sound is fetched before the press");
  assert.ok(await page.evaluate(() => [...document.querySelectorAll("audio, video")].every((one) => one.paused)));
  const ms = await pressAndHear(page, "#press");
  await until("the lateness is told", async () => /[\d٠-٩]/.test(await page.textContent("#late")));
  const pace = await steadyPace(page);
  await fine(page, lang, `listening-${look.scheme}`);
  measured.push({ name, press_to_sound_ms: ms, pace, lateness: (await page.textContent("#late")).trim() });
  assert.deepEqual(errors, [], name);
  // A second press is silence, and the connection is gone.
  const gone = page.waitForEvent("requestfailed", (request) => request.url().includes("/listen/"));
  await page.click("#press");
  await gone;
  assert.ok(await page.evaluate(() => document.querySelector("audio").paused));
  assert.equal(asked.length, 1, "one connection from the press to the end");
  await close();
  assert.ok(ms <= 2_000, `${name}: sound ${ms} ms after the press`);
}

/** Three seconds without a lost or a repeated tenth, within the time that the level of the buffer may need to settle. */
async function steadyPace(page) {
  let pace = 0;
  await until("it plays at its own pace", async () => {
    // Both by the page: what it takes to ask it is no part of it.
    const now = () => page.evaluate(() => [document.querySelector("audio").currentTime, performance.now() / 1_000]);
    const [from, began] = await now();
    await until("three seconds are heard", async () => (await position(page)) > from + 3);
    const [to, ended] = await now();
    pace = (to - from) / (ended - began);
    return pace > 0.96 && pace < 1.04;
  }, 20_000);
  return Number(pace.toFixed(3));
}

/** A script that presses is not a person: the browser refuses, and the page asks for a real press, which is enough. */
async function script(lang) {
  const { page, errors, close } = await open(browser, { lang });
  // Not through evaluate(), which counts as a press.
  await page.addInitScript(() => addEventListener("load", () => document.querySelector("#press").click()));
  await page.goto(`${ORIGIN}/s/${SPACE}`);
  await until("it asks for a press", async () => /one more press|ضغطة/.test(await page.textContent("#notice")));
  assert.ok(await page.evaluate(() => document.querySelector("audio").paused && document.querySelector("audio").currentTime === 0));
  await fine(page, lang, "page-blocked");
  await pressAndHear(page, "#press");
  assert.deepEqual(errors, []);
  await close();
}

try {
  const minute = async (lang) => {
    await stranger(lang, { width: 390, height: 844, scheme: "light" });
    await stranger(lang, { width: 1280, height: 900, scheme: "dark" });
    await script(lang);
  };
  await Promise.all(["ar", "en"].map(minute));
} finally {
  await browser.close();
}
console.log(JSON.stringify({ test: "listen", measured }));
