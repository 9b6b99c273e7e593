// Music until the start, in Arabic and English: a host chooses a file that no server reads, who waits hears it, and when it is taken away, silence.
import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { agree, fine, launch, ORIGIN, page as open, pitches, pressAndHear, space, until, wav } from "./browser.mjs";

/** In Hz: the music's. And what is heard, or not, in dB. */
const [NOTE, HEARD_DB, SILENT_DB] = [620, -50, -70];

/** Two channels at another rate than the server's, in 32-bit integers: a WAV file that it would refuse as it is. */
function music() {
  const [rate, seconds] = [44_100, 12];
  const samples = new Int32Array(2 * rate * seconds);
  for (let n = 0; n < rate * seconds; n++) samples[2 * n] = samples[2 * n + 1] = 5e8 * Math.sin((2 * Math.PI * NOTE * n) / rate);
  const folder = mkdtempSync(join(tmpdir(), "hiwar-music-"));
  writeFileSync(join(folder, "music.wav"), wav(samples, rate, 2));
  writeFileSync(join(folder, "words.mp3"), "no music at all");
  return folder;
}

const folder = music();
const browser = await launch();
const measured = {};

for (const lang of ["ar", "en"]) {
  const made = await space({ title: lang === "ar" ? "قبل البداية" : "Before the start" });
  const id = made.space.id;
  const host = await open(browser, { lang, width: 390, height: 844 });
  await host.page.goto(`${ORIGIN}/?lang=${lang}#/s/${id}/stage?token=${made.host_pass}`);
  await agree(host.page);
  await host.page.click("#mic-allow");
  await host.page.click("#mic-go");
  await host.page.waitForSelector("#hold-choose");

  const listener = await open(browser, { lang });
  await listener.page.goto(`${ORIGIN}/s/${id}?lang=${lang}`);

  // By the keyboard, too: the button opens the chooser.
  let wanted;
  host.page.on("filechooser", (chooser) => chooser.setFiles(join(folder, wanted)));
  const choose = async (name) => {
    wanted = name;
    await host.page.focus("#hold-choose");
    await host.page.keyboard.press("Enter");
  };
  await choose("words.mp3");
  await host.page.waitForSelector(".hold [role=alert]");
  await choose("music.wav");
  await host.page.waitForSelector("#hold-remove");
  assert.equal(await host.page.locator(".hold [role=alert]").count(), 0, "what was wrong is not said any more");
  const said = await host.page.textContent("#hold-hint");
  assert.match(said, lang === "ar" ? /(12|١٢) ثانية/u : /12 seconds/, said);
  await fine(host.page, lang, "hold");

  const heard_ms = await pressAndHear(listener.page, "#press");
  const [level] = await pitches(listener.page, [NOTE], 2_000);
  assert.ok(level > HEARD_DB, `the music has ${level} dB`);

  await host.page.click("#hold-remove");
  await host.page.waitForSelector("#hold-remove", { state: "detached" });
  assert.equal(await host.page.evaluate(() => document.activeElement.id), "hold-choose");
  const [after] = await until("silence", async () => {
    const levels = await pitches(listener.page, [NOTE], 1_000);
    return levels[0] < SILENT_DB && levels;
  });
  measured[lang] = { heard_ms, level, after };
  assert.deepEqual([...host.errors, ...listener.errors], []);
  await host.close();
  await listener.close();
}

await browser.close();
console.log(JSON.stringify(measured));
