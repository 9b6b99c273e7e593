// Our own web app on the stage, in Chromium: the microphone's check is passed, the voice connected, and then everything is left to it.
//
//   node stage.mjs ADDRESS MICROPHONE.wav     {"event":"on-air"}, and on {"do":"stop"} {"event":"stopped","errors","offers"}
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { chromium } = createRequire(new URL("../../web/package.json", import.meta.url))("playwright-core");
const [address, microphone] = process.argv.slice(2);
const tell = (event) => process.stdout.write(JSON.stringify(event) + "\n");

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", `--use-file-for-fake-audio-capture=${microphone}`,
  ],
});
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
