// The screens that nobody wants to see, in Arabic and in English: wrong addresses, missing passes, a refused microphone, a server that
// cannot be reached.
import assert from "node:assert/strict";
import { agree, CREATE, fine, launch, ORIGIN, page as open, until } from "./browser.mjs";

const browser = await launch();

async function screens(lang) {
  const { page, errors, close } = await open(browser, { lang });
  const at = async (hash, name) => {
    await page.goto(`${ORIGIN}/?lang=${lang}&${name}#${hash}`);
    await page.waitForSelector("main h1");
    await fine(page, lang, name);
  };
  await at("/nowhere", "nowhere");
  await at("/host", "host-without-pass");
  await at("/s/demo/stage", "stage-without-pass");
  await at("/s/demo/stage?token=nonsense", "stage-wrong-pass");
  await at("/s/demo/ask", "ask");

  // A pass that the server does not take.
  await page.goto(`${ORIGIN}/?lang=${lang}#/host?token=${CREATE.slice(0, -6)}AAAAAA`);
  await page.fill("#title", "x");
  await page.fill("#name", "x");
  await page.click("button[type=submit]");
  await page.waitForSelector(".trouble");
  await fine(page, lang, "host-refused");

  // The server is away.
  await page.route("**/api/spaces/v1/**", (route) => route.abort());
  await page.goto(`${ORIGIN}/?lang=${lang}&away`);
  await page.waitForSelector(".trouble button");
  await fine(page, lang, "home-away");
  await page.unroute("**/api/spaces/v1/**");
  await page.click(".trouble button");
  await page.waitForSelector(".cards");
  await page.route("**/api/spaces/v1/spaces", (route) => route.fulfill({ json: { spaces: [] } }));
  await page.goto(`${ORIGIN}/?lang=${lang}&quiet`);
  await page.waitForSelector(".empty");
  await fine(page, lang, "home-quiet");
  assert.deepEqual(errors, []);
  await close();
}

async function microphone(lang) {
  const { page, errors, close } = await open(browser, { lang });
  await page.addInitScript(() => {
    const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    globalThis.refuse = "NotAllowedError";
    navigator.mediaDevices.getUserMedia = (wish) =>
      globalThis.refuse ? Promise.reject(new DOMException("", globalThis.refuse)) : real(wish);
  });
  await page.goto(`${ORIGIN}/?lang=${lang}#/host?token=${CREATE}`);
  await page.fill("#title", lang === "ar" ? "ميكروفون" : "Microphone");
  await page.fill("#name", "x");
  await page.check("input[value=unlisted]");
  await page.click("button[type=submit]");
  await agree(page);
  for (const refusal of ["NotAllowedError", "NotFoundError", "NotReadableError"]) {
    await page.evaluate((refusal) => (globalThis.refuse = refusal), refusal);
    const before = (await page.locator("[role=alert]").count()) && (await page.textContent("[role=alert]"));
    await page.click("#mic-allow");
    await until(refusal, async () => (await page.locator("[role=alert]").count()) && (await page.textContent("[role=alert]")) !== before);
  }
  await fine(page, lang, "microphone-refused");
  await page.evaluate(() => (globalThis.refuse = ""));
  await page.click("#mic-allow");
  await page.click("#mic-go");
  await page.waitForSelector("#start");
  assert.deepEqual(errors, []);
  await close();
}

try {
  await Promise.all([...["ar", "en"].map(screens), ...["ar", "en"].map(microphone)]);
} finally {
  await browser.close();
}
console.log(JSON.stringify({ test: "screens" }));
