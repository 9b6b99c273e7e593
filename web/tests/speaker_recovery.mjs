// A speaker whose event stream breaks: the client offers again by itself, and a muted microphone stays muted.
// A relay stands before the stage's origin; the voice itself (UDP) is not touched, as when a worker restarts.
import assert from "node:assert/strict";
import { HOST_LINK, launch, ORIGIN, page as open, until } from "./browser.mjs";
import { Relay } from "./relay.mjs";

assert.ok(HOST_LINK, "HIWAR_HOST_LINK is the link that the server printed");
const token = new URLSearchParams(HOST_LINK.split("?").at(-1)).get("token");
const { stage_origin } = await (await fetch(`${ORIGIN}/api/spaces/v1/config`)).json();
const relay = await Relay.before(stage_origin);
const browser = await launch();
try {
  const { page, errors } = await open(browser, { lang: "en" });
  await page.route("**/api/spaces/v1/config", (route) => route.fulfill({ json: { stage_origin: relay.origin } }));
  let offers = 0;
  page.on("response", (response) => {
    const request = response.request();
    if (request.method() === "POST" && request.url().includes("/whip/") && response.status() === 201) offers += 1;
  });
  await page.goto(`${ORIGIN}/?lang=en#/host?token=${token}`);
  await page.fill("#title", "A line that breaks");
  await page.fill("#name", "Layla");
  await page.click("button[type=submit]");
  await page.click("#mic-allow");
  await page.click("#mic-go");
  await page.waitForSelector("#start:enabled");
  assert.equal(offers, 1);
  await page.click("#mute");

  relay.cut();
  const broke = Date.now();
  await page.waitForTimeout(1_500);
  relay.mend();
  await until("a second offer is answered", () => offers === 2, 12_000);
  const back_ms = Date.now() - broke;
  await until("it is on the stage again", async () => (await page.textContent(".sentence")) === "You are muted");
  assert.equal(await page.getAttribute("#mute", "aria-pressed"), "true");
  await until("the stage shows one of us", async () => (await page.locator(".stage li").count()) === 1);
  await page.waitForTimeout(3_000);
  assert.equal(offers, 2, "and then it is quiet");
  assert.deepEqual(errors, []);
  console.log(JSON.stringify({ test: "speaker_recovery", back_ms }));
} finally {
  await browser.close();
  relay.close();
}
