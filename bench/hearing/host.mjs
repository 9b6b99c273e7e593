// A host as a person is one: the host's link in Chromium, a conversation made, the microphone allowed, started, and spoken until told to end it.
//
//   node host.mjs LINK MICROPHONE.wav     {"event":"on-air","listen","speak"}
//   {"do":"look"}                         {"event":"seen","on_air","offers"}
//   {"do":"end"}                          {"event":"ended","errors","offers"}
import { createInterface } from "node:readline";

import { launch } from "./chromium.mjs";

const [link, microphone] = process.argv.slice(2);
const tell = (event) => process.stdout.write(JSON.stringify(event) + "\n");

const browser = await launch(`${microphone}%noloop`);
const context = await browser.newContext({ locale: "en", permissions: ["microphone"] });
const page = await context.newPage();
const errors = [];
let offers = 0;
page.on("pageerror", (error) => errors.push(String(error)));
page.on("response", (response) => {
  if (response.request().method() === "POST" && response.url().includes("/whip/") && response.status() === 201) offers += 1;
});
// The way is measured, not what Chromium takes for noise.
await page.addInitScript(() => {
  const ask = navigator.mediaDevices?.getUserMedia.bind(navigator.mediaDevices);
  if (ask) navigator.mediaDevices.getUserMedia = () => ask({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
});

const commands = {
  async look() {
    tell({ event: "seen", on_air: (await page.locator(".sentence.air").count()) > 0, offers });
  },
  async end() {
    await page.click("#end");
    await page.click("#end-yes");
    await page.waitForSelector(`a.primary[href^="/s/"]`);
    await browser.close();
    tell({ event: "ended", errors, offers });
    process.exit(0);
  },
};

try {
  await page.goto(link);
  await page.fill("#title", "One server");
  await page.fill("#name", "Layla");
  await page.click("button[type=submit]");
  await page.click("#mic-allow");
  await page.click("#mic-go");
  await page.click("#start:enabled");
  await page.waitForSelector(".sentence.air");
  tell({ event: "on-air", listen: await page.inputValue("#share-listen"), speak: await page.inputValue("#share-speak") });
} catch (error) {
  tell({ event: "failed", why: String(error.stack ?? error), errors });
}
for await (const line of createInterface({ input: process.stdin })) {
  try {
    await commands[JSON.parse(line).do]();
  } catch (error) {
    tell({ event: "failed", why: String(error.stack ?? error), errors });
  }
}
await browser.close();
