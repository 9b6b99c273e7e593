// Our own web app on the stage, in Chromium: the microphone's check is passed, the voice connected, and then everything is left to it.
//
//   node stage.mjs ADDRESS MICROPHONE.wav     {"event":"on-air"}, and on {"do":"stop"} {"event":"stopped","errors","offers"}
import { createInterface } from "node:readline";

import { launch } from "./chromium.mjs";

const [address, microphone] = process.argv.slice(2);
const tell = (event) => process.stdout.write(JSON.stringify(event) + "\n");

const browser = await launch(microphone);
const context = await browser.newContext({ locale: "en", permissions: ["microphone"] });
const page = await context.newPage();
const errors = [];
let offers = 0;
page.on("pageerror", (error) => errors.push(String(error)));
page.on("response", (response) => {
  if (response.request().method() === "POST" && response.url().includes("/whip/") && response.status() === 201) offers += 1;
});
try {
  await page.goto(address);
  await page.click("#mic-allow");
  await page.click("#mic-go");
  await page.waitForSelector(".sentence.air", { timeout: 20_000 });
  tell({ event: "on-air" });
} catch (error) {
  tell({ event: "failed", why: String(error.stack ?? error) });
}
for await (const line of createInterface({ input: process.stdin })) {
  if (JSON.parse(line).do === "stop") break;
}
await browser.close();
tell({ event: "stopped", errors, offers });
process.exit(0);
