// Listeners react: what one presses the others see with the sound, a budget is refused politely, keys do what fingers do, and before the sound nothing of it is fetched. The stage
// sees it, and whoever waits for the word presses in the app.
import assert from "node:assert/strict";
import { agree, fine, launch, ORIGIN, page as open, pressAndHear, space, until } from "./browser.mjs";

const browser = await launch(300);
const measured = {};

const count = (page, kind) => page.textContent(`.react [data-kind=${kind}] + b`);
const notice = (page) => page.textContent(".react p");

async function listener(id, lang, look) {
  const { page, errors, close } = await open(browser, { lang, ...look });
  const fetched = [];
  page.on("request", (request) => /assets\/react-/.test(request.url()) && fetched.push(request.url()));
  await page.goto(`${ORIGIN}/s/${id}`);
  await page.waitForSelector("#press");
  assert.deepEqual(fetched, [], "nothing to react to yet");
  await pressAndHear(page, "#press");
  await page.waitForSelector(".react button");
  assert.equal(fetched.length, 1);
  return { page, errors, close };
}

/** Somebody who is heard, so that there is sound to press for. */
async function speaker({ space: { id }, host_pass }) {
  const { page, errors } = await open(browser, { lang: "en" });
  await page.goto(`${ORIGIN}/?lang=en#/s/${id}/stage?token=${host_pass}`);
  await agree(page);
  await page.click("#mic-allow");
  await page.click("#mic-go");
  await page.waitForSelector("#mute");
  return { page, errors };
}

/** Notes in the page each number that its row of reactions ever shows. */
async function counting(page) {
  await page.waitForSelector(".react", { state: "attached" });
  await page.evaluate(() => {
    globalThis.counts = [];
    const shown = () => document.querySelectorAll(".react [data-kind]").forEach((item) => counts.push(`${item.dataset.kind} ${item.nextElementSibling.textContent}`));
    new MutationObserver(shown).observe(document.querySelector(".react"), { childList: true, subtree: true, characterData: true });
  });
}
const counted = (page, pattern) => page.evaluate((pattern) => counts.some((shown) => new RegExp(pattern).test(shown)), pattern);

try {
  const made = await space({ title: "تصفيق · Applause", asking: "everybody" }, { start: true });
  const stage = await speaker(made);
  const one = await listener(made.space.id, "en", { width: 390, height: 844 });
  const two = await listener(made.space.id, "ar", { width: 390, height: 844, scheme: "dark" });

  // What stands there for a second is seen by the page itself.
  await Promise.all([counting(two.page), counting(stage.page)]);
  const pressed = performance.now();
  await one.page.click(".react [data-kind=heart]");
  await until("it is said that it was sent", async () => (await notice(one.page)) === "Sent.");
  await one.page.focus(".react [data-kind=heart]");
  await one.page.keyboard.press("Tab");
  assert.equal(await one.page.evaluate(() => document.activeElement.dataset.kind), "applause");
  await one.page.keyboard.press("Enter");
  await until("the others see the hearts", () => counted(two.page, "^heart \\+(1|١)$"));
  measured.press_to_others_ms = Math.round(performance.now() - pressed);
  await until("they are of that second", async () => (await count(two.page, "heart")) === "" && (await count(two.page, "applause")) === "");
  assert.equal(await two.page.getAttribute(".react [data-kind=wow]", "aria-label"), "دهشة");
  assert.equal(await two.page.locator(".react [aria-live]").count(), 0, "numbers do not chatter");

  // More than anybody may: it says so, stays where it was, and comes back.
  await one.page.focus(".react [data-kind=laugh]");
  await one.page.evaluate(() => {
    const row = document.querySelector(".react");
    const look = () => (globalThis.rested ||= !!row.querySelector("[data-kind=laugh][aria-disabled=true]"));
    new MutationObserver(look).observe(row, { subtree: true, attributeFilter: ["aria-disabled"] });
    // Each worker has a budget for everybody.
    for (let i = 0; i < 24; i++) document.activeElement.click();
  });
  await until("it rests", () => one.page.evaluate(() => globalThis.rested));
  await until("it is asked to slow down", async () => /slower/.test((await notice(one.page)) ?? ""));
  assert.ok(await one.page.evaluate(() => document.activeElement.matches(".react [data-kind=laugh]")), "the focus stays");
  await fine(one.page, "en", "reactions");
  await until("it can be pressed again", async () => (await one.page.getAttribute(".react [data-kind=laugh]", "aria-disabled")) === "false");
  await until("the stage sees it", async () => (await counted(stage.page, "^agree \\+")) || (await one.page.click(".react [data-kind=agree]"), false));
  await fine(two.page, "ar", "reactions");

  // In the other language, in place.
  await two.page.click("#lang");
  await until("the names are English", async () => (await two.page.getAttribute(".react [data-kind=wow]", "aria-label")) === "Wow");

  // Whoever asks for the word, in the app.
  const { page, errors, close } = await open(browser, { lang: "en", width: 390, height: 844 });
  await page.goto(`${ORIGIN}/?lang=en#/s/${made.space.id}/ask`);
  await page.click("#listen");
  // To the server all of them are one person, whose budget was spent a moment ago.
  await until("it is sent", async () => /Sent/.test((await notice(page)) ?? "") || (await page.click(".react [data-kind=wow]"), false));
  await fine(page, "en", "reactions-app");
  assert.deepEqual([errors, one.errors, two.errors, stage.errors], [[], [], [], []]);
  await Promise.all([close(), one.close(), two.close()]);
} finally {
  await browser.close();
}
console.log(JSON.stringify({ test: "reactions", measured }));
